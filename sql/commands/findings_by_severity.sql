-- How many findings there are.
select
    severity,
    count(*) as findings
from findings
group by severity
