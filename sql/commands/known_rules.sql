-- The rules that findings can come from, and the levels they look at.
select
    rule,
    level
from seeds.check_rules
order by rule
