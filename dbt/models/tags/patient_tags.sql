with

entity_paths as (
    select * from {{ ref('int_entity_paths') }}
    where scope = '(all)' and level = 'patient'
),

paths as not materialized (
    select * from {{ ref('int_paths') }}
)

select
    entity_paths.source,
    entity_paths.entity_key as patient_key,
    entity_paths.path,
    paths.tag,
    paths.keyword,
    paths.vr,
    entity_paths.state,
    case
        when entity_paths.state in ('constant', 'constant_where_present')
            then entity_paths.value_min
    end as value,
    entity_paths.number_min,
    entity_paths.number_max,
    entity_paths.images,
    entity_paths.present,
    entity_paths.empty,
    entity_paths.absent,
    entity_paths.invalid,
    entity_paths.distinct_values
from entity_paths
inner join paths using (source, path)
