-- The files of the sources in the variable that the published generation, attached as `previous`,
-- has digests of.
select
    files.source,
    files.path,
    digests.size_bytes,
    digests.digest as digest_before,
    (
        sum(digests.size_bytes::hugeint) over (
            order by digests.size_bytes, files.source, files.path
        )
    )::double as bytes_so_far
from previous.run.pixel_digests as digests
inner join previous.files as files
    on digests.file_id = files.file_id
where digests.digest is not null and files.source in getvariable('sources')
order by bytes_so_far, files.source, files.path;
