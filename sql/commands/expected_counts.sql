-- How many entities of each level are complete, missing and so on, the worst first.
select
    state,
    level,
    count(*) as entities,
    sum(expected_instances)::bigint as expected_instances,
    sum(found_instances)::bigint as found_instances
from expected
group by state, level
order by
    list_position(['invalid', 'missing', 'incomplete', 'surplus', 'unasked', 'present'], state)
    nulls last,
    level
