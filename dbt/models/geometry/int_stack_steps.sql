with

slices as not materialized (
    select * from {{ ref('int_slices') }}
),

positions as (
    select
        source,
        series_key,
        stack,
        slot,
        median(position) as position,
        count(*) as images,
        min(path) as path,
        arg_min(label, (path, frame)) as label,
        median(SliceLocation) as slice_location,
        min(InstanceNumber)::hugeint as number
    from slices
    group by source, series_key, stack, slot
),

-- Only where several images lie at a position is there something to tell apart.
shared_positions as (
    select
        slices.source,
        slices.series_key,
        slices.stack,
        slices.slot,
        count(
            distinct struct_pack(
                number := slices.InstanceNumber, index := slices.ImageIndex,
                frame := slices.frame, dimension := slices.dimension
            )
        ) as images_told_apart,
        count(
            distinct struct_pack(frame := slices.frame, dimension := slices.dimension)
        ) as dimensions
    from slices
    inner join positions using (source, series_key, stack, slot)
    where positions.images > 1
    group by slices.source, slices.series_key, slices.stack, slices.slot
),

counted as (
    select
        positions.*,
        coalesce(shared_positions.images_told_apart, 1) as images_told_apart,
        coalesce(shared_positions.dimensions, 1) as dimensions
    from positions
    left join shared_positions using (source, series_key, stack, slot)
)

select
    source,
    series_key,
    stack,
    slot,
    position,
    images,
    images_told_apart,
    dimensions,
    path,
    label,
    slice_location,
    position - lag(position) over in_stack as step,
    lag(path) over in_stack as path_before,
    lag(label) over in_stack as label_before,
    abs(slice_location - lag(slice_location) over in_stack) as slice_location_step,
    number - lag(number) over in_stack as number_step
from counted
window in_stack as (partition by source, series_key, stack order by slot)
