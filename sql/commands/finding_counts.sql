-- How many findings there are, by severity, and how many of them someone has accepted.
select
    severity,
    count(*) filter (not is_waived) as findings,
    count(*) filter (is_waived) as waived
from findings
group by severity
order by position(severity in 'EWI')
