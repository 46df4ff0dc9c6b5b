with

-- The items of a sequence have rows of their own.
paths as not materialized (
    select * from {{ ref('int_paths') }}
    where vr <> 'SQ'
),

image_values as (
    select
        path_values.source,
        path_values.path,
        path_values.value_key,
        path_values.value,
        paths.tag,
        paths.keyword,
        paths.vr,
        path_values.images,
        path_values.series,
        path_values.patients
    from {{ ref('int_source_path_values') }} as path_values
    inner join paths
        on path_values.source = paths.source and path_values.path = paths.path
    where path_values.scope = '(all)' and not path_values.is_empty
),

-- Files without an image may identify as well, and so may what is overridden, and names of folders.
values_found as (
    select * from image_values

    union all

    select
        source,
        path,
        value_key,
        value_key as value,
        tag,
        keyword,
        vr,
        0 as images,
        0 as series,
        0 as patients
    from {{ ref('int_imageless_values') }}
    where (source, path, value_key) not in (
        select (image_values.source, image_values.path, image_values.value_key) from image_values
    )

    union all

    select
        source,
        path,
        value_key,
        value_key as value,
        min(tag) as tag,
        min(keyword) as keyword,
        min(vr) as vr,
        sum(images)::bigint as images,
        sum(series)::bigint as series,
        count(distinct patient_key) as patients
    from {{ ref('int_overridden_values') }}
    where
        (source, path, value_key) not in (
            select (image_values.source, image_values.path, image_values.value_key)
            from image_values
        )
        and (source, path, value_key) not in (
            select (imageless.source, imageless.path, imageless.value_key)
            from {{ ref('int_imageless_values') }} as imageless
        )
    group by source, path, value_key

    union all

    select
        source,
        'folder' as path,
        folder as value_key,
        folder as value,
        null as tag,
        null as keyword,
        null as vr,
        count(*) as images,
        count(distinct series_key) as series,
        count(distinct patient_key) as patients
    from {{ ref('images') }}
    group by source, folder
),

confidential as not materialized (
    select * from {{ ref('int_confidential_paths') }}
),

repeated as not materialized (
    select * from {{ ref('int_repeated_identifiers') }}
)

select
    path_values.source,
    path_values.path,
    path_values.value_key,
    path_values.value,
    path_values.tag,
    path_values.keyword,
    path_values.vr,
    confidential.action,
    confidential.profile_attribute,
    coalesce(confidential.profile_attribute = 'private', false) as is_private,
    coalesce(repeated.identifiers, []) as identifiers,
    repeated.is_whole as is_whole_identifier,
    path_values.images,
    path_values.series,
    path_values.patients
from values_found as path_values
left join confidential
    on path_values.source = confidential.source and path_values.path = confidential.path
left join repeated
    on
        path_values.source = repeated.source
        and path_values.path = repeated.path
        and path_values.value_key = repeated.value_key
where confidential.action is not null or repeated.identifiers is not null
