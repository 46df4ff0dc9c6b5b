-- The first entities of each state, and how many more there are.
with

states as (
    select
        state,
        greatest(sum(entities) - 20, 0)::bigint as more,
        list_sort(flatten(list(examples)))[:20] as examples
    from expected_groups
    where list_contains(getvariable('states'), state)
    group by state
),

shown as (
    select
        state,
        more,
        unnest(examples, max_depth := 2)
    from states
)

select
    state,
    line,
    level,
    entity,
    case
        when problem is not null then problem
        when expected_instances is null then format('{:,} found', found_instances)
        else format('{:,} of {:,}', found_instances, expected_instances)
    end as instances,
    more
from shown
order by
    list_position(['invalid', 'missing', 'incomplete', 'surplus', 'unasked', 'present'], state)
    nulls last,
    line,
    entity
