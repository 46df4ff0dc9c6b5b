with

images as (
    select
        source,
        patient_key,
        series_key,
        folder,
        upper(trim(PatientIdentityRemoved)) as PatientIdentityRemoved,
        array_to_string(DeidentificationMethod, '\') as DeidentificationMethod
    from {{ ref('images') }}
),

path_values as not materialized (
    select * from {{ ref('int_series_path_values') }}
    where not is_empty
),

confidential as not materialized (
    select * from {{ ref('int_confidential_paths') }}
),

repeated as not materialized (
    select * from {{ ref('int_repeated_identifiers') }}
),

codes as (
    select
        source,
        series_key,
        list_distinct(flatten(list(string_split(value_key, chr(31))))) as method_codes
    from path_values
    where path = 'DeidentificationMethodCodeSequence.CodeValue'
    group by source, series_key
),

-- A claim is judged by the series that it stands in; of mixed series each claim bears all.
claims as (
    select
        images.source,
        images.PatientIdentityRemoved,
        images.DeidentificationMethod,
        images.series_key,
        count(*) as images,
        list(distinct images.patient_key) as patient_keys
    from images
    group by all
),

repeating as (
    select distinct
        path_values.source,
        path_values.series_key,
        path_values.path
    from path_values
    inner join repeated
        on
            path_values.source = repeated.source
            and path_values.path = repeated.path
            and path_values.value_key = repeated.value_key
),

held as (
    select distinct
        source,
        series_key,
        path
    from {{ ref('int_lineage_paths') }}
    where present > 0
),

-- A folder that bears the PatientID says no more than the images do.
named_folders as (
    select distinct
        images.source,
        images.series_key,
        'folder' as path,
        true as is_repeating
    from images
    inner join repeated
        on
            images.source = repeated.source
            and repeated.path = 'folder'
            and images.folder = repeated.value_key
    where not list_contains(repeated.identifiers, 'PatientID')
),

-- Identifiers of another value than any image's, in files without an image.
beside as (
    select
        source,
        path,
        unnest(folders) as folder
    from {{ ref('int_imageless_values') }}
    where
        keyword in (select identifiers.keyword from {{ ref('identifiers') }} as identifiers)
        and (source, keyword, value_key) not in (
            select (path_values.source, path_values.path, path_values.value_key) from path_values
            where path_values.path in (
                select identifiers.keyword from {{ ref('identifiers') }} as identifiers
            )
        )
),

beside_images as (
    select
        images.source,
        images.PatientIdentityRemoved,
        images.DeidentificationMethod,
        count(distinct beside.path) as identifiers_beside
    from images
    inner join beside
        on
            images.source = beside.source
            and (
                beside.folder = ''
                or starts_with(concat(images.folder, '/'), concat(beside.folder, '/'))
            )
    group by images.source, images.PatientIdentityRemoved, images.DeidentificationMethod
),

series_paths as (
    select
        held.*,
        repeating.path is not null as is_repeating
    from held
    left join repeating
        on
            held.source = repeating.source
            and held.series_key = repeating.series_key
            and held.path = repeating.path

    union all

    select * from named_folders
),

found as (
    select
        claims.source,
        claims.PatientIdentityRemoved,
        claims.DeidentificationMethod,
        count(distinct series_paths.path) filter (
            confidential.action = 'X' and confidential.profile_attribute <> 'private'
        ) as attributes_to_remove,
        count(distinct series_paths.path) filter (
            confidential.action <> 'X'
        ) as attributes_to_replace,
        count(distinct series_paths.path) filter (
            confidential.profile_attribute = 'private'
        ) as private_attributes,
        count(distinct series_paths.path) filter (series_paths.is_repeating)
            as repeating_attributes
    from claims
    inner join series_paths
        on claims.source = series_paths.source and claims.series_key = series_paths.series_key
    left join confidential
        on series_paths.source = confidential.source and series_paths.path = confidential.path
    group by claims.source, claims.PatientIdentityRemoved, claims.DeidentificationMethod
),

counted as (
    select
        claims.source,
        claims.PatientIdentityRemoved,
        claims.DeidentificationMethod,
        coalesce(list_sort(list_distinct(flatten(list(codes.method_codes)))), []) as method_codes,
        coalesce(claims.PatientIdentityRemoved = 'YES', false) as is_claimed,
        claims.DeidentificationMethod is not null or count(codes.method_codes) > 0 as has_method,
        sum(claims.images)::bigint as images,
        count(*) as series,
        len(list_distinct(flatten(list(claims.patient_keys)))) as patients
    from claims
    left join codes
        on claims.source = codes.source and claims.series_key = codes.series_key
    group by claims.source, claims.PatientIdentityRemoved, claims.DeidentificationMethod
)

select
    counted.source,
    counted.PatientIdentityRemoved,
    counted.DeidentificationMethod,
    counted.method_codes,
    counted.images,
    counted.series,
    counted.patients,
    found.attributes_to_remove,
    found.attributes_to_replace,
    found.private_attributes,
    found.repeating_attributes,
    coalesce(beside_images.identifiers_beside, 0) as identifiers_beside,
    case
        when not counted.is_claimed and not counted.has_method then 'not claimed'
        when
            found.attributes_to_remove
            + found.private_attributes
            + found.repeating_attributes
            + coalesce(beside_images.identifiers_beside, 0)
            > 0
            then 'contradicted'
        when not counted.is_claimed then 'method without a claim'
        when not counted.has_method then 'claim without a method'
        else 'nothing against it'
    end as verdict
from counted
inner join found
    on
        counted.source = found.source
        and counted.PatientIdentityRemoved is not distinct from found.PatientIdentityRemoved
        and counted.DeidentificationMethod is not distinct from found.DeidentificationMethod
left join beside_images
    on
        counted.source = beside_images.source
        and counted.PatientIdentityRemoved is not distinct from beside_images.PatientIdentityRemoved
        and counted.DeidentificationMethod is not distinct from beside_images.DeidentificationMethod
