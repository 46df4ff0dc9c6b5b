{#- Long because six rules stand on one pass over the frames. -#}
-- What measured pixels say that headers cannot. A series without any has no verdict.
with

stats as (
    select * from {{ ref('pixel_stats') }}
),

tags as (
    select
        file_id,
        SmallestImagePixelValue,
        LargestImagePixelValue,
        PixelPaddingValue,
        2 ** coalesce(BitsAllocated, 16) as wrap
    from {{ ref('images') }}
    where SamplesPerPixel is null or SamplesPerPixel = 1
),

-- The tags are of all frames, and of the sign that their writer gave them, which may not be the
-- pixels': 63536 of 16 bits is -2000.
limits as (
    select
        stats.file_id,
        bool_or(stats.problem is not null) as is_in_part,
        min(stats.stored_minimum) as least,
        min(stats.unpadded_minimum) as least_unpadded,
        max(stats.stored_maximum) as greatest,
        max(stats.unpadded_maximum) as greatest_unpadded
    from stats
    group by stats.file_id
),

mislabelled as (
    select limits.file_id
    from limits
    inner join tags using (file_id)
    where
        not limits.is_in_part
        and (
            (
                (tags.SmallestImagePixelValue - limits.least) % tags.wrap <> 0
                and (tags.SmallestImagePixelValue - limits.least_unpadded) % tags.wrap <> 0
            )
            or (
                (tags.LargestImagePixelValue - limits.greatest) % tags.wrap <> 0
                and (tags.LargestImagePixelValue - limits.greatest_unpadded) % tags.wrap <> 0
            )
        )
),

-- Blank frames are alike without being the same picture.
pictures as (
    select
        digest,
        count(distinct SOPInstanceUID) as instances,
        count(distinct patient_key) as patients,
        count(distinct { 'source': source, 'series_key': series_key }) as series
    from stats
    where n_distinct > 1
    group by digest
    having count(distinct SOPInstanceUID) > 1
),

judged as (
    select
        stats.source,
        stats.series_key,
        stats.path,
        stats.problem,
        stats.reason,
        stats.digest,
        pictures.patients,
        pictures.series,
        stats.n_beyond,
        tags.PixelPaddingValue,
        stats.padding_share,
        pictures.instances is not null as is_repeated,
        stats.n_distinct <= 1
        and coalesce(stats.Modality, '') not in ('RTDOSE', 'SEG') as is_blank,
        mislabelled.file_id is not null as has_other_limits
    from stats
    left join pictures
        on stats.digest = pictures.digest and stats.n_distinct > 1
    left join tags using (file_id)
    left join mislabelled using (file_id)
),

series as (
    select
        source,
        series_key,
        count(*) as frames,
        count(*) filter (problem in ('undecodable', 'over_budget')) as undecodable,
        list_sort(list(distinct path) filter (problem in ('undecodable', 'over_budget')))
            as undecodable_files,
        min(reason) filter (problem in ('undecodable', 'over_budget')) as undecodable_reason,
        list_sort(list(distinct path) filter (problem = 'shape_mismatch')) as misshapen_files,
        min(reason) filter (problem = 'shape_mismatch') as shape_reason,
        list_sort(list(distinct path) filter (is_repeated)) as repeated_files,
        coalesce(max(patients) filter (is_repeated), 1) as patients,
        coalesce(max(series) filter (is_repeated), 1) as series_of_one,
        list_sort(list(distinct path) filter (is_blank)) as blank_files,
        list_sort(list(distinct path) filter (has_other_limits)) as other_limits_files,
        list_sort(list(distinct path) filter (n_beyond > 0)) as beyond_files,
        min(PixelPaddingValue) filter (PixelPaddingValue is not null) as padding,
        max(padding_share) as padding_share,
        count(digest) as decoded,
        list_sort(list(distinct path) filter (PixelPaddingValue is not null)) as padded_files
    from judged
    group by source, series_key
)

{% call verdicts() %}
select
    source,
    series_key,
    'pixels_undecodable' as rule,
    undecodable_files as files,
    {{ count_of('undecodable', 'frame') }} || ' of ' || frames || ': ' || rtrim(undecodable_reason, '.')
        as message
from series

union all by name

select
    source,
    series_key,
    'pixel_shape_mismatch' as rule,
    misshapen_files as files,
    rtrim(shape_reason, '.') || {{ and_more('len(misshapen_files)', 'file') }} as message
from series

union all by name

select
    source,
    series_key,
    'identical_pixels' as rule,
    case when patients > 1 then 'E' end as severity,
    repeated_files as files,
    {{ count_of('len(repeated_files)', 'file') }} || ' with a picture that other instances have'
    || case
        when patients > 1 then ', of ' || patients || ' patients'
        when series_of_one > 1 then ', of ' || series_of_one || ' series'
        else ''
    end as message
from series
where decoded > 0

union all by name

select
    source,
    series_key,
    'blank_image' as rule,
    blank_files as files,
    'all pixels are of one value' || {{ and_more('len(blank_files)', 'file') }} as message
from series
where decoded > 0

union all by name

select
    source,
    series_key,
    'pixel_value_tags_mismatch' as rule,
    case
        when other_limits_files is not null then other_limits_files
        when padding_share = 0 and decoded = frames then padded_files
    end as files,
    case
        when other_limits_files is not null
            then
                'SmallestImagePixelValue or LargestImagePixelValue is not that of the pixels'
                || {{ and_more('len(other_limits_files)', 'file') }}
        else 'PixelPaddingValue ' || padding || ' stands in no pixel'
    end as message
from series
where decoded > 0

union all by name

select
    source,
    series_key,
    'values_beyond_bits_stored' as rule,
    beyond_files as files,
    'values that BitsStored cannot hold' || {{ and_more('len(beyond_files)', 'file') }}
        as message
from series
where decoded > 0
{% endcall %}
