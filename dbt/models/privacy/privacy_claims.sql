with

images as (
    select
        source,
        patient_key,
        series_key,
        folder,
        struct_pack(
            removed := upper(trim(PatientIdentityRemoved)),
            method := array_to_string(DeidentificationMethod, '\')
        ) as claim
    from {{ ref('images') }}
),

path_values as not materialized (
    select * from {{ ref('int_series_path_values') }}
    where not is_empty
),

confidential as not materialized (
    select * from {{ ref('int_confidential_paths') }}
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
        images.claim,
        images.series_key,
        count(*) as images,
        list(distinct images.patient_key) as patient_keys
    from images
    group by all
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
        images.claim,
        count(distinct beside.path) as identifiers_beside
    from images
    inner join beside
        on
            images.source = beside.source
            and (
                beside.folder = ''
                or starts_with(concat(images.folder, '/'), concat(beside.folder, '/'))
            )
    group by images.source, images.claim
),

found as (
    select
        claims.source,
        claims.claim,
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
    inner join {{ ref('int_held_paths') }} as series_paths using (source, series_key)
    left join confidential using (source, path)
    group by claims.source, claims.claim
),

counted as (
    select
        claims.source,
        claims.claim,
        coalesce(list_sort(list_distinct(flatten(list(codes.method_codes)))), []) as method_codes,
        coalesce(struct_extract(claims.claim, 'removed') = 'YES', false) as is_claimed,
        struct_extract(claims.claim, 'method') is not null or count(codes.method_codes) > 0
            as has_method,
        sum(claims.images)::bigint as images,
        count(*) as series,
        len(list_distinct(flatten(list(claims.patient_keys)))) as patients
    from claims
    left join codes using (source, series_key)
    group by claims.source, claims.claim
)

select
    counted.source,
    struct_extract(counted.claim, 'removed') as PatientIdentityRemoved,
    struct_extract(counted.claim, 'method') as DeidentificationMethod,
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
inner join found using (source, claim)
left join beside_images using (source, claim)
