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
            as elements_hash
    from {{ ref('stg_elements') }}
    where
        file_id in (select repeated.file_id from repeated)
        and (not structural or contains(problem, 'overridden'))
        and tag not in ('7FE00010', '7FE00009', '7FE00008', 'FFFCFFFC')
        and path not like 'DigitalSignaturesSequence%'
    group by file_id
),

-- Of those files whose headers tell nothing apart; what could not be read is like no other.
pixels as (
    select
        file_id,
        coalesce(digest, 'unread in ' || file_id) as digest
    from {{ source('run', 'pixel_digests') }}
)

select
    repeated.source,
    repeated.series_key,
    repeated.SOPInstanceUID,
    repeated.file_id,
    repeated.path,
    dense_rank() over (
        partition by repeated.source, repeated.series_key, repeated.SOPInstanceUID
        order by
            contents.elements,
            contents.elements_hash,
            repeated.size_bytes,
            repeated.TransferSyntaxUID,
            pixels.digest
    ) as content,
    row_number() over (
        partition by
            repeated.source,
            repeated.series_key,
            repeated.SOPInstanceUID,
            contents.elements,
            contents.elements_hash,
            repeated.size_bytes,
            repeated.TransferSyntaxUID,
            pixels.digest
        order by repeated.path
    ) > 1 as is_copy
from repeated
left join contents on repeated.file_id = contents.file_id
left join pixels on repeated.file_id = pixels.file_id
