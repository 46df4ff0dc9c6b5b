-- By rule, how many findings there are that nobody has accepted, and how many of them the run found
-- new, worse, or accepted no more. The first run has nothing to compare with: all are new.
with

news as (
    select finding_key
    from run_changes
    where
        run_id = getvariable('run')
        and entity = 'finding'
        and is_news(change, before, after)
)

select
    case findings.severity
        when 'E' then 'error' when 'W' then 'warning' else 'information'
    end as severity,
    findings.rule,
    findings.level,
    count(*) as findings,
    count(*) filter (findings.state = 'new' or news.finding_key is not null) as new
from findings
left join news using (finding_key)
where not findings.is_waived
group by findings.severity, findings.rule, findings.level
order by position(findings.severity in 'EWI'), new desc, count(*) desc, findings.rule
