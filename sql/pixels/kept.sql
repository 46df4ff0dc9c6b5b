-- What the published generation, attached as `previous`, knows of files that are the same.
insert into run.pixel_digests
select
    digests.file_id,
    digests.size_bytes,
    digests.modified_at,
    digests.digest
from previous.run.pixel_digests as digests
inner join lake.files as files
    on
        digests.file_id = files.file_id
        and digests.size_bytes = files.size_bytes
        and digests.modified_at = files.modified_at;
