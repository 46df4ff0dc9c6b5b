{% set keys = {'patient': 'patient_key', 'study': 'study_key', 'series': 'series_key'} %}
{% set most_entities = 20 %}
{% set most_values = 10 %}

with

levels as not materialized (
    select * from {{ ref('tag_levels') }}
),

entity_paths as (
    select * from {{ ref('int_entity_paths') }}
    where scope = '(all)' and state = 'varies' and images >= 2
),

path_values as not materialized (
    select * from {{ ref('int_series_path_values') }}
    where not is_empty
),

files as not materialized (
    select
        file_id,
        path
    from {{ ref('files') }}
),

contradicting as (
    select
        entity_paths.source,
        entity_paths.path,
        entity_paths.level,
        entity_paths.entity_key,
        entity_paths.distinct_values,
        entity_paths.images as entity_images,
        coalesce(levels.standard_level = entity_paths.level, false) as is_standard_level,
        levels.usual_level = entity_paths.level as is_usual_level,
        count(*) over (partition by entity_paths.source, entity_paths.path, entity_paths.level)
            as entities
    from entity_paths
    inner join levels using (source, path)
    where entity_paths.level in (levels.standard_level, levels.usual_level)
    qualify row_number() over (
        partition by entity_paths.source, entity_paths.path, entity_paths.level
        order by entity_paths.images desc, entity_paths.entity_key
    ) <= {{ most_entities }}
),

entity_values as (
    {% for level, key in keys.items() %}
    {% if not loop.first %}union all{% endif %}
    select
        contradicting.source,
        contradicting.path,
        contradicting.level,
        contradicting.entity_key,
        path_values.value_key,
        min(path_values.value) as value,
        sum(path_values.images)::bigint as images,
        min(path_values.example_file_id) as example_file_id
    from path_values
    inner join contradicting
        on
            path_values.source = contradicting.source
            and path_values.{{ key }} = contradicting.entity_key
            and path_values.path = contradicting.path
    where contradicting.level = '{{ level }}'
    group by all
    {% endfor %}
),

ranked as (
    select
        *,
        row_number() over (
            partition by source, path, level, entity_key order by images desc, value, value_key
        ) as rank
    from entity_values
    qualify rank <= {{ most_values }}
)

select
    contradicting.source,
    contradicting.path,
    contradicting.level,
    contradicting.entity_key,
    ranked.rank,
    ranked.value,
    ranked.images,
    files.path as example_file,
    contradicting.entity_images,
    contradicting.distinct_values,
    contradicting.entities,
    contradicting.is_standard_level,
    contradicting.is_usual_level
from contradicting
inner join ranked using (source, path, level, entity_key)
inner join files on ranked.example_file_id = files.file_id
