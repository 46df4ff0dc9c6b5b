-- What runs after one of them changed: files and series by count, each tag by itself,
-- findings by rule.
select
    run_changes.run_id,
    run_changes.entity,
    run_changes.change,
    run_changes.source,
    case when run_changes.entity = 'tag' then run_changes.subject else run_changes.rule end as name,
    case when run_changes.entity in ('tag', 'finding') then run_changes.before end as before,
    case when run_changes.entity in ('tag', 'finding') then run_changes.after end as after,
    count(*) as count
from run_changes
inner join runs
    on run_changes.run_id = runs.run_id
where
    runs.generation
    > (
        select since.generation
        from runs as since
        where getvariable('run') in (since.run_id, since.generation::varchar)
    )
group by all
order by
    any_value(runs.generation), run_changes.entity, run_changes.change, run_changes.source, name
