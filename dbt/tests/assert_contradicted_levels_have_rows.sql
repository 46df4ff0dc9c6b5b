-- Every count of entities that contradict can be looked into.
with

counted as (
    select
        source,
        path,
        standard_level as level,
        contradicting_entities as entities
    from {{ ref('tag_levels') }}
    where contradicting_entities > 0
    union
    select
        source,
        path,
        usual_level as level,
        unusual_entities as entities
    from {{ ref('tag_levels') }}
    where unusual_entities > 0
)

select * from counted
except
select
    source,
    path,
    level,
    entities
from {{ ref('tag_contradictions') }}
