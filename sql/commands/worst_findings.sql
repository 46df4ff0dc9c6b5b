-- The five most severe rules that failed, with how often.
select
    severity,
    rule,
    count(*) as findings,
    level
from findings
group by severity, rule, level
order by position(severity in 'EWI'), findings desc, rule
limit 5
