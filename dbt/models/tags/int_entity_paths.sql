{% set keys = {'patient': 'patient_key', 'study': 'study_key', 'series': 'series_key'} %}
{% set levels = [('source', 'source')] + keys.items() | list %}

with

path_values as not materialized (
    select * from {{ ref('int_series_path_values') }}
),

lineages as not materialized (
    select * from {{ ref('int_lineages') }}
),

lineage_images as (
    {{ in_scopes(ref('int_lineages'), ['*']) }}
),

lineage_paths as (
    {{ in_scopes(ref('int_lineage_paths'), ['*']) }}
),

entity_images as (
    {% for level, key in levels %}
    {% if not loop.first %}union all{% endif %}
    select
        source,
        scope,
        '{{ level }}' as level,
        {{ key }} as entity_key,
        sum(images)::bigint as images
    from lineage_images
    group by source, scope{{ '' if key == 'source' else ', ' ~ key }}
    {% endfor %}
),

entity_paths as (
    {% for level, key in levels %}
    {% if not loop.first %}union all{% endif %}
    select
        source,
        scope,
        '{{ level }}' as level,
        {{ key }} as entity_key,
        path,
        sum(distinct_values)::bigint as distinct_values,
        sum(present)::bigint as present,
        sum(empty)::bigint as empty,
        sum(invalid)::bigint as invalid,
        sum(varying_images)::bigint as varying_images,
        bool_or(has_unread) as has_unread,
        min(value_min) as value_min,
        max(value_max) as value_max,
        min(number_min) as number_min,
        max(number_max) as number_max,
        min(tag) as tag,
        max(vm) as vm
    from lineage_paths
    group by source, scope, {{ 'path' if key == 'source' else key ~ ', path' }}
    {% endfor %}
),

-- Lineages of one entity may hold the same value: what they share is counted again.
shared as (
    select
        scopes.scope,
        lineages.shares_patient,
        lineages.shares_study,
        lineages.shares_series,
        path_values.source,
        path_values.patient_key,
        path_values.study_key,
        path_values.series_key,
        path_values.path,
        path_values.value_key
    from path_values
    inner join lineages
        on
            path_values.source = lineages.source
            and path_values.Modality is not distinct from lineages.Modality
            and path_values.patient_key = lineages.patient_key
            and path_values.study_key = lineages.study_key
            and path_values.series_key = lineages.series_key
    inner join {{ ref('int_scopes') }} as scopes
        on
            path_values.source = scopes.source
            and path_values.Modality is not distinct from scopes.Modality
    where lineages.shares
),

distinct_values as (
    select
        source,
        scope,
        'source' as level,
        source as entity_key,
        path,
        count(value_key) as distinct_values
    from {{ ref('int_source_path_values') }}
    group by source, scope, path
    {% for level, key in keys.items() %}
    union all
    select
        source,
        scope,
        '{{ level }}' as level,
        {{ key }} as entity_key,
        path,
        count(distinct value_key) as distinct_values
    from shared
    where shares_{{ level }}
    group by source, scope, {{ key }}, path
    {% endfor %}
),

counted as (
    select
        entity_paths.* exclude (distinct_values),
        coalesce(distinct_values.distinct_values, entity_paths.distinct_values) as distinct_values
    from entity_paths
    left join distinct_values using (source, scope, level, entity_key, path)
)

select
    counted.source,
    counted.scope,
    counted.level,
    counted.entity_key,
    counted.path,
    counted.tag,
    {{
        level_state(
            'counted.distinct_values', 'counted.present', 'entity_images.images',
            'counted.has_unread'
        )
    }} as state,
    entity_images.images,
    counted.present,
    counted.empty,
    entity_images.images - counted.present - counted.empty as absent,
    counted.invalid,
    counted.varying_images,
    counted.distinct_values,
    counted.value_min,
    counted.value_max,
    counted.number_min,
    counted.number_max,
    counted.vm
from counted
inner join entity_images using (source, scope, level, entity_key)
