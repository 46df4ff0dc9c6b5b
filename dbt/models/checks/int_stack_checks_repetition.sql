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
),

slices as (
    select
        placed.*,
        placed.images_here <> placed.repetition as is_incomplete,
        coalesce(crowded.is_alike, false) or (placed.repetition = 1 and placed.images_here > 1)
            as is_duplicate,
        crowded.is_told_apart,
        crowded.likeness,
        coalesce(crowded.repeat, 1) as repeat
    from placed
    left join crowded using (file_id, frame)
),

duplicates as (
    select
        source,
        series_key,
        stack,
        list_sort(list(distinct path)) as files,
        bool_and(is_told_apart) as is_told_apart,
        min((is_told_apart, slot, likeness, label, file_id, frame), 2) as first_ones,
        count(*) as images
    from slices
    where is_duplicate
    group by source, series_key, stack
),

-- What tells the first two apart, if anything does.
differences as (
    select
        duplicates.source,
        duplicates.series_key,
        duplicates.stack,
        list_filter(
            [
                {% for attribute in dimension_attributes() %}
                case
                    when one.{{ attribute }} is distinct from other.{{ attribute }}
                        then '{{ attribute.replace("dimension_indices", "DimensionIndexValues") }}'
                end,
                {% endfor %}
                case
                    when one.InstanceNumber is distinct from other.InstanceNumber
                        then 'InstanceNumber'
                end,
                case when one.ImageIndex is distinct from other.ImageIndex then 'ImageIndex' end
            ],
            lambda x: x is not null
        ) as attributes
    from duplicates
    inner join {{ ref('frames') }} as one
        on
            duplicates.first_ones[1][5] = one.file_id
            and duplicates.first_ones[1][6] = one.frame
    inner join {{ ref('frames') }} as other
        on
            duplicates.first_ones[2][5] = other.file_id
            and duplicates.first_ones[2][6] = other.frame
),

incomplete as (
    select
        source,
        series_key,
        stack,
        list_sort(list(distinct path)) as files,
        count(distinct slot) as positions,
        arg_min(struct_pack(label := label, images := images_here), (slot, path, frame))
            as first_one
    from slices
    where is_incomplete
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
        InstanceNumber::hugeint - lag(InstanceNumber) over (
            partition by source, series_key, stack, repeat order by slot
        ) as rise
    from slices
    where InstanceNumber is not null and not is_multiframe and is_even
),

directions as (
    select
        source,
        series_key,
        stack,
        count(rise) as rises,
        count(*) filter (rise > 0) >= count(*) filter (rise < 0) as is_rising
    from numbered
    group by source, series_key, stack
),

turns as (
    select
        numbered.source,
        numbered.series_key,
        numbered.stack,
        count(*) as images,
        list_sort(list(distinct numbered.path)) as files,
        min(numbered.label) as first_one
    from numbered
    inner join directions using (source, series_key, stack)
    where (numbered.rise > 0) <> directions.is_rising or numbered.rise = 0
    group by numbered.source, numbered.series_key, numbered.stack
),

stacks as (
    select
        geometry.*,
        duplicates.files as duplicate_files,
        duplicates.first_ones as first_duplicates,
        duplicates.is_told_apart as are_duplicates_told_apart,
        differences.attributes as differing,
        overlapping.stack is not null as is_overlapping,
        coalesce(duplicates.images, 0) as duplicates,
        incomplete.files as incomplete_files,
        coalesce(incomplete.positions, 0) as incomplete_positions,
        incomplete.first_one as first_incomplete,
        directions.rises,
        coalesce(turns.images, 0) as turns,
        turns.files as turn_files,
        turns.first_one as first_turn,
        -- A segmentation may leave out the frames in which it has nothing.
        case when geometry.Modality = 'SEG' then 'I' end as severity_of_gaps
    from geometry
    left join duplicates using (source, series_key, stack)
    left join differences using (source, series_key, stack)
    left join incomplete using (source, series_key, stack)
    left join directions using (source, series_key, stack)
    left join turns using (source, series_key, stack)
    left join overlapping using (source, series_key, stack)
)

{{ stack_check(
    rule='duplicate_position', relation='stacks', applies='images > 1',
    fails='duplicates > 0',
    measured='case when repetition = 1 or is_overlapping then images - positions else images_not_told_apart end',
    files='duplicate_files',
    severity="case when are_duplicates_told_apart then 'W' end",
    message="first_duplicates[1][4] || ' and ' || first_duplicates[2][4]"
        ~ " || ' lie at one position' || case when len(differing) = 0"
        ~ " then ' and nothing tells them apart'"
        ~ " else ', told apart by ' || array_to_string(differing, ', ') end || "
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
    fails='repetition > 1 and repetition_min < repetition_max and not is_overlapping',
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
