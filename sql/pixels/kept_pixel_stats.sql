-- What the published generation, attached as `previous`, knows of files that were not read again
-- since, measured as this release does; what could not be decoded then is not tried again.
insert into run.pixel_stats by name
select stats.*
from previous.run.pixel_stats as stats
inner join previous.files as before
    on stats.file_id = before.file_id
inner join lake.files as files
    on
        stats.file_id = files.file_id
        and stats.size_bytes = files.size_bytes
        and stats.modified_at is not distinct from files.modified_at
        and before.run_id = files.run_id
where stats.version = getvariable('version')::integer;
