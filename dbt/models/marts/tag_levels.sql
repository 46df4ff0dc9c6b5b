with

entity_paths as (
    select * from {{ ref('int_entity_paths') }}
),

standard_paths as (
    select * from {{ ref('int_standard_paths') }}
),

paths as (
    select * from {{ ref('int_paths') }}
),

-- An entity has a say when it has at least two images and a value in one of them.
counted as (
    select
        source,
        path,
        {% for level in ['source', 'patient', 'study', 'series'] %}
        count(*) filter (level = '{{ level }}' and images >= 2 and state <> 'always_empty')
            as {{ level }}_entities,
        count(*) filter (level = '{{ level }}' and images >= 2 and state = 'varies')
            as {{ level }}_varying,
        {% endfor %}
        max(varying_images) > 0 as varies_in_image
    from entity_paths
    group by source, path
),

levels as (
    select
        *,
        case
            when varies_in_image then 'item'
            {% for level in ['source', 'patient', 'study', 'series'] %}
            when {{ level }}_entities = 0 then 'unknown'
            when {{ level }}_varying = 0 then '{{ level }}'
            {% endfor %}
            else 'image'
        end as level
    from counted
)

select
    levels.source,
    levels.path,
    paths.tag,
    paths.keyword,
    paths.vr,
    levels.level,
    standard_paths.standard_level,
    case standard_paths.standard_level
        when 'patient' then levels.patient_varying
        when 'study' then levels.study_varying
        when 'series' then levels.series_varying
        when 'image' then 0
    end as contradicting_entities,
    levels.patient_entities as patients_compared,
    levels.patient_varying as patients_varying,
    levels.study_entities as studies_compared,
    levels.study_varying as studies_varying,
    levels.series_entities as series_compared,
    levels.series_varying
from levels
inner join paths
    on levels.source = paths.source and levels.path = paths.path
left join standard_paths
    on levels.source = standard_paths.source and levels.path = standard_paths.path
