with

path_values as (
    select * from {{ ref('int_source_path_values') }}
    where scope = '(all)' and not is_empty
),

-- The items of a sequence have rows of their own.
paths as not materialized (
    select * from {{ ref('int_paths') }}
    where vr <> 'SQ'
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
    paths.tag,
    paths.keyword,
    paths.vr,
    confidential.action,
    confidential.profile_attribute,
    coalesce(confidential.profile_attribute = 'private', false) as is_private,
    coalesce(repeated.identifiers, []) as identifiers,
    repeated.is_whole as is_whole_identifier,
    path_values.images,
    path_values.series,
    path_values.patients
from path_values
inner join paths
    on path_values.source = paths.source and path_values.path = paths.path
left join confidential
    on path_values.source = confidential.source and path_values.path = confidential.path
left join repeated
    on
        path_values.source = repeated.source
        and path_values.path = repeated.path
        and path_values.value_key = repeated.value_key
where confidential.action is not null or repeated.identifiers is not null
