-- What became of findings after a generation, over all runs since: by change, severity and rule.
-- What came and went again is left out, and so is what someone has accepted.
with

later as (
    select
        run_changes.finding_key,
        run_changes.source,
        run_changes.rule,
        run_changes.subject,
        run_changes.before,
        run_changes.after,
        runs.generation
    from run_changes
    inner join runs on run_changes.run_id = runs.run_id
    where run_changes.entity = 'finding' and runs.generation > getvariable('generation')
),

-- A null counts, too: before, it was not there.
net as (
    select
        min(rule) as rule,
        arg_min({ 'told': before }, generation)['told'] as before,
        arg_max({ 'told': after }, generation)['told'] as after
    from later
    group by coalesce(finding_key, to_json([source, rule, subject])::varchar)
),

told as (
    select
        case
            when before is null then 'new'
            when after is null then 'fixed'
            when after = 'waived' then 'waived'
            when before = 'waived' then 'unwaived'
            when is_worse(after, before) then 'worse'
            else 'better'
        end as change,
        coalesce(nullif(after, 'waived'), before) as severity,
        rule
    from net
    where
        before is distinct from after
        and (coalesce(before, 'waived') <> 'waived' or coalesce(after, 'waived') <> 'waived')
)

select
    change,
    severity,
    rule,
    count(*) as findings
from told
group by change, severity, rule
order by change, position(severity in 'EWI'), findings desc, rule
