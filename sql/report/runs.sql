-- The last thirty runs, newest first.
select
    generation,
    started_at::varchar as started_at,
    round(date_diff('millisecond', started_at, finished_at) / 1000.0, 1) as seconds,
    files,
    files_new,
    files_changed,
    files_gone,
    images,
    failure is not null as is_failed,
    if(getvariable('with_values'), array_to_string(reasons, '; '), null) as reasons,
    if(getvariable('with_values'), failure, null) as failure
from runs
order by runs.started_at desc, run_id desc
limit 30
