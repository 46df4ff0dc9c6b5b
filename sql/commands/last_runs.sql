-- The last runs that published something or failed, newest first.
select
    run_id,
    generation,
    started_at,
    round(date_diff('millisecond', started_at, finished_at) / 1000.0, 1) as seconds,
    files,
    files_new as new,
    files_changed as changed,
    files_gone as gone,
    images,
    coalesce('failed: ' || failure, array_to_string(reasons, '; ')) as reasons
from runs
order by started_at desc, run_id desc
limit 5
