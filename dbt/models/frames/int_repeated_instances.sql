with

images as not materialized (
    select
        source,
        series_key,
        SOPInstanceUID,
        file_id,
        path,
        size_bytes,
        TransferSyntaxUID
    from {{ ref('images') }}
    where SOPInstanceUID is not null
),

repeated as (
    select * from images
    qualify count(*) over (partition by source, series_key, SOPInstanceUID) > 1
),

-- Padding and signatures are left out, and pixels have a digest of their own; the order of the
-- elements cannot matter.
contents as (
    select
        file_id,
        count(*) as elements,
        bit_xor(hash(path, item, tag, value, digest, case when value is null then n_bytes end))
            as elements_hash,
        coalesce(bool_or(contains(problem, 'not_read') and digest is null), false) as has_unread
    from {{ ref('stg_elements') }}
    where
        file_id in (select repeated.file_id from repeated)
        and (not structural or contains(problem, 'overridden'))
        and tag not in ('7FE00010', '7FE00009', '7FE00008', 'FFFCFFFC')
        and path not like 'DigitalSignaturesSequence%'
    group by file_id
),

-- Pixels are digested where the headers may tell nothing apart; what was not read is like no other.
read as (
    select
        repeated.*,
        contents.elements,
        contents.elements_hash,
        contents.has_unread or (pixels.file_id is not null and pixels.digest is null) as is_unread,
        case
            when contents.has_unread or (pixels.file_id is not null and pixels.digest is null)
                then 'unread in ' || repeated.file_id
            else pixels.digest
        end as digest
    from repeated
    left join contents on repeated.file_id = contents.file_id
    left join {{ source('run', 'pixel_digests') }} as pixels on repeated.file_id = pixels.file_id
)

select
    source,
    series_key,
    SOPInstanceUID,
    file_id,
    path,
    dense_rank() over (
        in_instance order by elements, elements_hash, size_bytes, TransferSyntaxUID, digest
    ) as content,
    dense_rank() over (
        in_instance order by elements, elements_hash, size_bytes, TransferSyntaxUID
    ) as content_but_unread,
    row_number() over (
        partition by
            source,
            series_key,
            SOPInstanceUID,
            elements,
            elements_hash,
            size_bytes,
            TransferSyntaxUID,
            digest
        order by path
    ) > 1 as is_copy,
    is_unread
from read
window in_instance as (partition by source, series_key, SOPInstanceUID)
