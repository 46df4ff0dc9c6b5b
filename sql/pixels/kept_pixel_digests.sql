-- What the published generation, attached as `previous`, knows of files that were not read again
-- since; one that could not be read then is tried again.
insert into run.pixel_digests
select
    digests.file_id,
    digests.size_bytes,
    digests.modified_at,
    digests.digest,
    null as reason
from previous.run.pixel_digests as digests
inner join previous.files as before
    on digests.file_id = before.file_id
inner join lake.files as files
    on
        digests.file_id = files.file_id
        and digests.size_bytes = files.size_bytes
        and digests.modified_at is not distinct from files.modified_at
        and before.run_id = files.run_id
where digests.digest is not null;
