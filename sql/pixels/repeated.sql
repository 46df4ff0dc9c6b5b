-- Files with pixel data that are of one size and transfer syntax with another one of their
-- instance, and are not digested yet: the smallest first, and the copies of one with one number of
-- bytes so far.
with

images as (
    select
        images.source,
        images.series_key,
        images.SOPInstanceUID,
        images.path,
        images.file_id,
        images.size_bytes,
        images.modified_at,
        count(*) over (
            partition by
                images.source,
                images.series_key,
                images.SOPInstanceUID,
                images.size_bytes,
                images.TransferSyntaxUID
        ) as copies
    from lake.images as images
    where images.SOPInstanceUID is not null and images.pixel_bytes > 0
)

select
    images.source,
    images.path,
    images.file_id,
    images.size_bytes,
    images.modified_at,
    (
        sum(images.size_bytes::hugeint) over (
            order by images.size_bytes, images.source, images.series_key, images.SOPInstanceUID
        )
    )::double as bytes_so_far
from images
left join run.pixel_digests as digests
    on images.file_id = digests.file_id
where images.copies > 1 and digests.file_id is null
order by bytes_so_far, images.source, images.path;
