with

geometry as (
    select * from {{ ref('series_geometry') }}
),

positions as (
    select * from {{ ref('int_stack_positions') }}
),

slices as (
    select
        slices.*,
        geometry.repetition,
        geometry.repetition_min = geometry.repetition_max as is_even,
        positions.images as images_here,
        positions.images <> geometry.repetition as is_incomplete,
        count(*) over (
            partition by
                slices.source,
                slices.series_key,
                slices.stack,
                slices.slot,
                slices.InstanceNumber,
                slices.frame,
                slices.dimension
        ) > 1
        or (geometry.repetition = 1 and positions.images > 1) as is_duplicate,
        row_number() over (
            partition by slices.source, slices.series_key, slices.stack, slices.slot
            order by slices.InstanceNumber, slices.path, slices.frame
        ) as repeat
    from {{ ref('int_slices') }} as slices
    inner join positions
        on
            slices.source = positions.source
            and slices.series_key = positions.series_key
            and slices.stack = positions.stack
            and slices.slot = positions.slot
    inner join geometry
        on
            slices.source = geometry.source
            and slices.series_key = geometry.series_key
            and slices.stack = geometry.stack
),

offending as (
    select
        source,
        series_key,
        stack,
        list_sort(list(distinct path) filter (is_duplicate)) as duplicate_files,
        min((slot, label), 2) filter (is_duplicate) as first_duplicates,
        count(*) filter (is_duplicate) as duplicates,
        list_sort(list(distinct path) filter (is_incomplete)) as incomplete_files,
        count(distinct slot) filter (is_incomplete) as incomplete_positions,
        arg_min(
            struct_pack(label := label, images := images_here), (slot, path, frame)
        ) filter (is_incomplete) as first_incomplete
    from slices
    group by source, series_key, stack
),

-- The numbers of the first, second, ... image at each position ought to go one way.
numbered as (
    select
        source,
        series_key,
        stack,
        path,
        label,
        InstanceNumber - lag(InstanceNumber) over (
            partition by source, series_key, stack, repeat order by slot
        ) as rise
    from slices
    where InstanceNumber is not null and not is_multiframe and is_even
),

ordered as (
    select
        *,
        count(*) filter (rise > 0) over (partition by source, series_key, stack)
        >= count(*) filter (rise < 0) over (partition by source, series_key, stack) as is_rising
    from numbered
),

numbering as (
    select
        source,
        series_key,
        stack,
        count(rise) as rises,
        count(*) filter ((rise > 0) <> is_rising or rise = 0) as turns,
        list_sort(list(distinct path) filter ((rise > 0) <> is_rising or rise = 0)) as turn_files,
        min(label) filter ((rise > 0) <> is_rising or rise = 0) as first_turn
    from ordered
    group by source, series_key, stack
),

stacks as (
    select
        geometry.*,
        offending.duplicate_files,
        offending.first_duplicates,
        offending.duplicates,
        offending.incomplete_files,
        offending.incomplete_positions,
        offending.first_incomplete,
        numbering.rises,
        numbering.turns,
        numbering.turn_files,
        numbering.first_turn,
        -- A segmentation may leave out the frames in which it has nothing.
        case when geometry.Modality = 'SEG' then 'I' end as severity_of_gaps
    from geometry
    inner join offending
        on
            geometry.source = offending.source
            and geometry.series_key = offending.series_key
            and geometry.stack = offending.stack
    left join numbering
        on
            geometry.source = numbering.source
            and geometry.series_key = numbering.series_key
            and geometry.stack = numbering.stack
)

{{ stack_check(
    rule='duplicate_position', relation='stacks', applies='images > 1',
    fails='duplicates > 0',
    measured='case when repetition = 1 then images - positions else images_not_told_apart end',
    files='duplicate_files',
    message="first_duplicates[1][2] || ' and ' || first_duplicates[2][2]"
        ~ " || ' lie at one position and nothing tells them apart' || "
        ~ and_more('duplicates - 1', 'image'),
) }}

union all

{{ stack_check(
    rule='temporal_positions', relation='stacks', applies='positions > 1',
    fails='repetition_min = repetition_max and repetition > 1 and images_not_told_apart = 0',
    measured='repetition',
    message="'Each position holds ' || repetition || ' images that are told apart:'"
        ~ " || ' a series with a fourth dimension'",
) }}

union all

{{ stack_check(
    rule='incomplete_repetition', relation='stacks', applies='positions > 1',
    fails='repetition > 1 and repetition_min < repetition_max',
    severity='severity_of_gaps',
    measured='repetition',
    files='incomplete_files',
    message="'Most positions hold ' || repetition || ' images, that of ' || first_incomplete.label"
        ~ " || ' holds ' || first_incomplete.images || "
        ~ and_more('incomplete_positions', 'position'),
) }}

union all

{{ stack_check(
    rule='single_position', relation='stacks', applies='images > 1',
    fails='positions = 1',
    severity="case when dimensions > 1 then 'I' end",
    measured='images',
    message="'All ' || images || ' images lie at one position'",
) }}

union all

{{ stack_check(
    rule='instance_order_not_spatial', relation='stacks', applies='rises > 1 and positions > 2',
    fails='turns > 0',
    measured='turns',
    files='turn_files',
    message="'InstanceNumber neither rises nor falls with the position: it turns at ' || first_turn || "
        ~ and_more('turns', 'image'),
) }}
