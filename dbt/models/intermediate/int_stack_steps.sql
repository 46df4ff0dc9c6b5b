with

slices as (
    select * from {{ ref('int_slices') }}
),

positions as (
    select
        source,
        series_key,
        stack,
        slot,
        min(position) as position,
        count(*) as images,
        count(
            distinct struct_pack(number := InstanceNumber, frame := frame, dimension := dimension)
        ) as images_told_apart,
        count(distinct dimension) as dimensions,
        min(path) as path,
        arg_min(label, (path, frame)) as label,
        median(SliceLocation) as slice_location
    from slices
    group by source, series_key, stack, slot
)

select
    *,
    position - lag(position) over in_stack as step,
    lag(path) over in_stack as path_before,
    lag(label) over in_stack as label_before,
    abs(slice_location - lag(slice_location) over in_stack) as slice_location_step
from positions
window in_stack as (partition by source, series_key, stack order by slot)
