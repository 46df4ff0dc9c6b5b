-- How many files, series and tags the runs after a generation found changed, each counted once.
select
    case run_changes.entity when 'file' then 'files' when 'tag' then 'tags' else 'series' end
        as entities,
    run_changes.change,
    count(distinct (run_changes.source, run_changes.subject)) as count
from run_changes
inner join runs on run_changes.run_id = runs.run_id
where run_changes.entity <> 'finding' and runs.generation > getvariable('generation')
group by all
order by entities, run_changes.change
