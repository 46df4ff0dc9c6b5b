-- How many entities of each level are complete, missing and so on, the worst first.
select * exclude (examples)
from expected_groups
order by
    list_position(['invalid', 'missing', 'incomplete', 'surplus', 'unasked', 'present'], state)
    nulls last,
    level
