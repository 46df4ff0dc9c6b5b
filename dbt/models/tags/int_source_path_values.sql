-- Values are counted by Modality; only of a source with several are these added up once more.
with

lineages as not materialized (
    select * from {{ ref('int_lineages') }}
),

scopes as not materialized (
    select * from {{ ref('int_scopes') }}
),

several as (
    select distinct source from scopes
    where not is_modality
),

by_modality as (
    select
        source,
        Modality,
        path,
        value_key,
        is_empty,
        min(value) as value,
        min(number_min) as number_min,
        max(number_max) as number_max,
        min(number_mean) as number_mean,
        sum(images)::bigint as images,
        count(*) as lineages
    from {{ ref('int_series_path_values') }}
    group by source, Modality, path, value_key, is_empty
),

counted as (
    select
        source,
        case
            when source in (select several.source from several) then coalesce(Modality, '(none)')
            else '(all)'
        end as scope,
        * exclude (source, Modality)
    from by_modality

    union all

    select
        source,
        '(all)' as scope,
        path,
        value_key,
        is_empty,
        min(value) as value,
        min(number_min) as number_min,
        max(number_max) as number_max,
        min(number_mean) as number_mean,
        sum(images)::bigint as images,
        sum(lineages)::bigint as lineages
    from by_modality
    where source in (select several.source from several)
    group by source, path, value_key, is_empty
),

-- A lineage that shares neither patient nor series counts for one of each: the others are few.
shared_values as (
    select path_values.*
    from {{ ref('int_series_path_values') }} as path_values
    inner join lineages
        on
            path_values.source = lineages.source
            and path_values.Modality is not distinct from lineages.Modality
            and path_values.patient_key = lineages.patient_key
            and path_values.study_key = lineages.study_key
            and path_values.series_key = lineages.series_key
    where lineages.shares
),

sharing as (
    select
        source,
        scope,
        path,
        value_key,
        is_empty,
        count(*) as lineages,
        count(distinct series_key) as series,
        count(distinct patient_key) as patients
    from ({{ in_scopes('shared_values', ['*']) }})
    group by source, scope, path, value_key, is_empty
)

select
    counted.source,
    counted.scope,
    counted.path,
    counted.value_key,
    counted.is_empty,
    counted.value,
    counted.number_min,
    counted.number_max,
    counted.number_mean,
    counted.images,
    counted.lineages - coalesce(sharing.lineages - sharing.series, 0) as series,
    counted.lineages - coalesce(sharing.lineages - sharing.patients, 0) as patients
from counted
left join sharing
    on
        counted.source = sharing.source
        and counted.scope = sharing.scope
        and counted.path = sharing.path
        and counted.value_key is not distinct from sharing.value_key
        and counted.is_empty = sharing.is_empty
