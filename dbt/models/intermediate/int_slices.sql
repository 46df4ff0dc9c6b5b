with

localizers as not materialized (
    select
        file_id,
        frame
    from {{ ref('int_localizers') }}
),

kept as (
    select
        stack_frames.*,
        groups.attribute as grouped_by,
        coalesce(groups.part, 0) as part,
        groups.one_position
    from {{ ref('int_stack_frames') }} as stack_frames
    left join {{ ref('int_stack_groups') }} as groups
        on stack_frames.file_id = groups.file_id and stack_frames.frame = groups.frame
    where
        (stack_frames.file_id, stack_frames.frame) not in (
            select (localizers.file_id, localizers.frame) from localizers
        )
),

-- The largest stack becomes the first.
stacks as (
    select
        source,
        series_key,
        stack,
        part,
        row_number() over (
            partition by source, series_key order by count(*) desc, stack, part
        ) as rank
    from kept
    group by source, series_key, stack, part
),

placed as (
    select
        kept.* exclude (stack, part),
        stacks.rank as stack,
        kept.along_row - lines.row_start - lines.row_slope * kept.position as off_row,
        kept.along_column - lines.column_start - lines.column_slope * kept.position as off_column,
        lines.row_slope,
        lines.column_slope
    from kept
    inner join stacks
        on
            kept.source = stacks.source
            and kept.series_key = stacks.series_key
            and kept.stack = stacks.stack
            and kept.part = stacks.part
    left join {{ ref('int_stack_lines') }} as lines
        on
            kept.source = lines.source
            and kept.series_key = lines.series_key
            and kept.stack = lines.stack
),

stepped as (
    select
        *,
        position - lag(position) over (
            partition by source, series_key, stack order by position, path, frame
        ) as step
    from placed
),

-- Steps beyond the tolerance tell the spacing; only finer stacks are measured by all steps.
scales as (
    select
        source,
        series_key,
        stack,
        coalesce(
            min(one_position),
            least(
                {{ tolerance('duplicate_position') }},
                coalesce(
                    quantile_disc(step, 0.5) filter (step > {{ tolerance('duplicate_position') }}),
                    quantile_disc(step, 0.5) filter (step > 1e-6),
                    1
                ) * {{ tolerance('duplicate_position.share') }}
            )
        ) as one_position
    from stepped
    group by source, series_key, stack
)

select
    stepped.source,
    stepped.series_key,
    stepped.stack,
    stepped.grouped_by,
    count(*) filter (coalesce(stepped.step > scales.one_position, true)) over (
        partition by stepped.source, stepped.series_key, stepped.stack
        order by stepped.position, stepped.path, stepped.frame
    ) as slot,
    stepped.file_id,
    stepped.frame,
    stepped.path,
    frames.label,
    frames.frames > 1 as is_multiframe,
    frames.Modality,
    stepped.position,
    stepped.normal,
    degrees(atan(sqrt(stepped.row_slope ** 2 + stepped.column_slope ** 2))) as line_degrees,
    sqrt(stepped.off_row ** 2 + stepped.off_column ** 2) as off_line_mm,
    frames.ImagePositionPatient,
    frames.FrameOfReferenceUID,
    frames.Rows,
    frames.Columns,
    frames.PixelSpacing,
    frames.SliceThickness,
    frames.SpacingBetweenSlices,
    frames.SliceLocation,
    frames.GantryDetectorTilt,
    frames.InstanceNumber,
    frames.ImageIndex,
    hash(
        {% for attribute in dimension_attributes() %}
        frames.{{ attribute }}{{ "," if not loop.last }}
        {% endfor %}
    ) as dimension
from stepped
inner join scales
    on
        stepped.source = scales.source
        and stepped.series_key = scales.series_key
        and stepped.stack = scales.stack
inner join {{ ref('frames') }} as frames
    on stepped.file_id = frames.file_id and stepped.frame = frames.frame
