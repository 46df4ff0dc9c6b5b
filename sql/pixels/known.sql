-- The files that the published generation, attached as `previous`, has digests of.
select
    files.source,
    files.path,
    digests.digest as digest_before
from previous.run.pixel_digests as digests
inner join previous.files as files
    on digests.file_id = files.file_id
where digests.digest is not null
order by files.source, files.path;
