-- By rule, how many findings there are and how many of them the generation before has not.
select
    case findings.severity
        when 'E' then 'error' when 'W' then 'warning' else 'information'
    end as severity,
    findings.rule,
    findings.level,
    count(*) as findings,
    count(*) filter (known.rule is null) as new
from findings
left join known using (source, rule, subject)
group by findings.severity, findings.rule, findings.level
order by position(severity[1] in 'ewi'), new desc, findings desc, findings.rule
