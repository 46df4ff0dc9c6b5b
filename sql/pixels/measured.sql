-- What was measured, in the table `measured` of this connection; of a file that an earlier run
-- has measured too, and that has changed since, only what is so now.
insert into run.pixel_stats by name
select measured.*
from measured
inner join lake.files as files
    on
        measured.file_id = files.file_id
        and measured.size_bytes = files.size_bytes
        and measured.modified_at is not distinct from files.modified_at
where
    measured.version = getvariable('version')::integer
    and not exists (
        select 1 from run.pixel_stats as known
        where known.file_id = measured.file_id
    )
qualify row_number() over (partition by measured.file_id, measured.frame order by 1) = 1;
