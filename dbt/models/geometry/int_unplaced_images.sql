-- Images that lie somewhere in a stack, though nobody can say where. Between which two neighbours
-- tells the InstanceNumber, where it goes one way with the position.
with

unplaced as (
    select
        planes.source,
        planes.series_key,
        planes.file_id,
        planes.frame,
        case when planes.deviation < 1 then {{ unit_normal('planes.orientation') }} end as normal,
        planes.InstanceNumber
    from {{ ref('int_frame_planes') }} as planes
    anti join {{ ref('int_stack_frames') }} using (file_id, frame)
    where
        planes.lacks_position
        or planes.lacks_orientation
        or planes.lacks_offset
        or planes.deviation >= 1
),

slots as (
    select
        slices.source,
        slices.series_key,
        slices.stack,
        slices.slot,
        any_value(slices.normal) as normal,
        min(slices.InstanceNumber) as least,
        max(slices.InstanceNumber) as greatest
    from {{ ref('int_slices') }} as slices
    semi join unplaced using (source, series_key)
    group by slices.source, slices.series_key, slices.stack, slices.slot
),

stacks as (
    select
        source,
        series_key,
        stack,
        any_value(normal) as normal,
        list(least order by slot) as numbers,
        len(list_distinct(numbers)) = count(*)
        and (numbers = list_sort(numbers) or numbers = list_reverse_sort(numbers)) as is_ordered
    from slots
    group by source, series_key, stack
),

steps as (
    select
        *,
        least(least, lag(least) over in_stack) as number_before,
        greatest(greatest, lag(greatest) over in_stack) as number_after
    from slots
    window in_stack as (partition by source, series_key, stack order by slot)
),

-- An image of another direction is of another stack.
candidates as (
    select
        stacks.source,
        stacks.series_key,
        stacks.stack,
        unplaced.file_id,
        unplaced.frame,
        case when stacks.is_ordered then unplaced.InstanceNumber end as number
    from unplaced
    inner join stacks using (source, series_key)
    where
        unplaced.normal is null
        or list_dot_product(unplaced.normal, stacks.normal)
        >= 1 - {{ tolerance('mixed_orientation') }}
)

select
    candidates.source,
    candidates.series_key,
    candidates.stack,
    candidates.file_id,
    candidates.frame,
    case when candidates.number is not null then coalesce(min(steps.slot), 0) end as slot
from candidates
left join steps
    on
        candidates.source = steps.source
        and candidates.series_key = steps.series_key
        and candidates.stack = steps.stack
        and candidates.number > steps.number_before
        and candidates.number < steps.number_after
group by
    candidates.source, candidates.series_key, candidates.stack, candidates.file_id,
    candidates.frame, candidates.number
