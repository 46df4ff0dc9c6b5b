-- By rule, how many findings there are that nobody has accepted, and how many of them the run found
-- new, worse, or accepted no more. The first run has nothing to compare with: all are new.
with

is_first as (
    select count(*) filter (generation > 0) = 1 as is_first from runs
),

changes as (
    select finding_key
    from run_changes
    where
        run_id = getvariable('run')
        and entity = 'finding'
        and (
            change in ('new', 'unwaived')
            or (change = 'severity' and position(after in 'EWI') < position(before in 'EWI'))
        )
)

select
    case findings.severity
        when 'E' then 'error' when 'W' then 'warning' else 'information'
    end as severity,
    findings.rule,
    findings.level,
    count(*) as findings,
    count(*) filter (changes.finding_key is not null or is_first.is_first) as new
from findings
cross join is_first
left join changes using (finding_key)
where not findings.is_waived
group by findings.severity, findings.rule, findings.level
order by position(findings.severity in 'EWI'), new desc, count(*) desc, findings.rule
