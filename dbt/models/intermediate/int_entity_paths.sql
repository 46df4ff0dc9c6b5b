{% set keys = {'patient': 'patient_key', 'study': 'study_key', 'series': 'series_key'} %}
{% set levels = [('source', 'source')] + keys.items() | list %}

with

path_values as (
    {{ in_scopes(ref('int_series_path_values'), ['*']) }}
),

images as (
    {{ in_scopes(ref('stg_images'), ['source'] + keys.values() | list) }}
),

entity_images as (
    {% for level, key in levels %}
    {% if not loop.first %}union all{% endif %}
    select
        source,
        scope,
        '{{ level }}' as level,
        {{ key }} as entity_key,
        count(*) as images
    from images
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
        count(distinct value_key) as distinct_values,
        coalesce(sum(images) filter (not is_empty), 0)::bigint as present,
        coalesce(sum(images) filter (is_empty), 0)::bigint as empty,
        sum(invalid_images)::bigint as invalid,
        coalesce(sum(images) filter (varies_in_image), 0)::bigint as varying_images,
        bool_or(is_unread) as has_unread,
        min(value) as value_min,
        max(value) as value_max,
        min(number_min) as number_min,
        max(number_max) as number_max,
        min(tag) as tag,
        max(vm) as vm
    from path_values
    group by source, scope, {{ 'path' if key == 'source' else key ~ ', path' }}
    {% endfor %}
)

select
    entity_paths.source,
    entity_paths.scope,
    entity_paths.level,
    entity_paths.entity_key,
    entity_paths.path,
    entity_paths.tag,
    {{
        level_state(
            'entity_paths.distinct_values', 'entity_paths.present', 'entity_images.images',
            'entity_paths.has_unread'
        )
    }} as state,
    entity_images.images,
    entity_paths.present,
    entity_paths.empty,
    entity_images.images - entity_paths.present - entity_paths.empty as absent,
    entity_paths.invalid,
    entity_paths.varying_images,
    entity_paths.distinct_values,
    entity_paths.value_min,
    entity_paths.value_max,
    entity_paths.number_min,
    entity_paths.number_max,
    entity_paths.vm
from entity_paths
inner join entity_images
    on
        entity_paths.source = entity_images.source
        and entity_paths.scope = entity_images.scope
        and entity_paths.level = entity_images.level
        and entity_paths.entity_key = entity_images.entity_key
