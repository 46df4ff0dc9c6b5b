with

geometry as not materialized (
    select * from {{ ref('series_geometry') }}
),

positions as not materialized (
    select * from {{ ref('int_stack_positions') }}
),

acquisitions as (
    select
        slices.source,
        slices.series_key,
        slices.stack,
        frames.AcquisitionNumber,
        min(slices.slot) as first_slot,
        max(slices.slot) as last_slot,
        frames.AcquisitionNumber is not null
        and count(distinct slices.slot) = count(*)
        and count(*) = last_slot - first_slot + 1 as is_whole
    from {{ ref('int_slices') }} as slices
    inner join {{ ref('frames') }} as frames using (file_id, frame)
    semi join geometry
        on
            slices.source = geometry.source
            and slices.series_key = geometry.series_key
            and slices.stack = geometry.stack
            and geometry.repetition > 1
            and geometry.repetition_min < geometry.repetition_max
    group by slices.source, slices.series_key, slices.stack, frames.AcquisitionNumber
),

-- Acquisitions that overlap lack nothing: each is whole, and goes on where an earlier one ends.
overlapping as (
    select
        source,
        series_key,
        stack
    from acquisitions
    group by source, series_key, stack
    having
        count(*) > 1
        and bool_and(is_whole)
        and count(distinct first_slot) = count(*)
        and count(distinct last_slot) = count(*)
        and list(last_slot order by first_slot) = list_sort(list(last_slot))
),

placed as (
    select
        slices.*,
        overlapping.stack is not null as is_overlapping,
        case when overlapping.stack is null then geometry.repetition else 1 end as repetition,
        geometry.repetition_min = geometry.repetition_max as is_even,
        positions.images as images_here
    from {{ ref('int_slices') }} as slices
    inner join positions using (source, series_key, stack, slot)
    inner join geometry using (source, series_key, stack)
    left join overlapping using (source, series_key, stack)
),

-- At most positions lies one image, which nothing has to be told apart from.
crowded as (
    select
        file_id,
        frame,
        count(*) over (
            partition by
                source, series_key, stack, slot, InstanceNumber, ImageIndex, frame, dimension
        ) > 1 as is_alike,
        count(*) over (partition by source, series_key, stack, slot, dimension) = 1
            as is_told_apart,
        min(label) over (partition by source, series_key, stack, slot, dimension) as likeness,
        row_number() over (
            partition by source, series_key, stack, slot order by InstanceNumber, path, frame
        ) as repeat
    from placed
    where images_here > 1
)

select
    placed.source,
    placed.series_key,
    placed.stack,
    placed.slot,
    placed.file_id,
    placed.frame,
    placed.path,
    placed.label,
    placed.InstanceNumber,
    placed.is_multiframe,
    placed.images_here,
    placed.is_overlapping,
    placed.is_even,
    placed.images_here <> placed.repetition as is_incomplete,
    coalesce(crowded.is_alike, false) or (placed.repetition = 1 and placed.images_here > 1)
        as is_duplicate,
    crowded.is_told_apart,
    crowded.likeness,
    coalesce(crowded.repeat, 1) as repeat
from placed
left join crowded using (file_id, frame)
