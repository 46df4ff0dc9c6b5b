{% set levels = ['source', 'patient', 'study', 'series'] %}

with

entity_paths as not materialized (
    select * from {{ ref('int_entity_paths') }}
),

-- An entity has a say when it has at least two images and a value in one of them, if its values
-- could be compared.
counted as (
    select
        source,
        scope,
        path,
        {% for level in levels %}
        count(*) filter (
            level = '{{ level }}' and images >= 2 and state not in ('always_empty', 'not_compared')
        ) as {{ level }}_entities,
        count(*) filter (level = '{{ level }}' and images >= 2 and state = 'varies')
            as {{ level }}_varying,
        count(*) filter (level = '{{ level }}' and images >= 2 and state = 'constant_where_present')
            as {{ level }}_partly,
        {% endfor %}
        max(varying_images) as varying_images
    from entity_paths
    group by source, scope, path
)

select
    *,
    case
        when varying_images > 0 then 'item'
        {% for level in levels %}
        when {{ level }}_entities = 0 then 'unknown'
        when {{ level }}_varying = 0 then '{{ level }}'
        {% endfor %}
        else 'image'
    end as level,
    case
        {% for level in levels %}
        when {{ level }}_entities > 0 and 10 * {{ level }}_varying <= {{ level }}_entities
            then '{{ level }}'
        {% endfor %}
        when series_entities > 0 then 'image'
        else 'unknown'
    end as usual_level
from counted
