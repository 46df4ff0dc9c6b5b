-- What the published generation, attached as `previous`, knows of files that are the same; one
-- that could not be read then is tried again.
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
        and digests.modified_at = files.modified_at
where
    digests.digest is not null
    and not exists (
        select 1
        from run.other_contents as others
        where others.source = files.source and others.path = files.path
    );
