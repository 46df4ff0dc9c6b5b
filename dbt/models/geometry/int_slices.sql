with

localizers as not materialized (
    select
        file_id,
        frame
    from {{ ref('int_localizers') }}
),

kept as (
    select
        stack_frames.source,
        stack_frames.series_key,
        stack_frames.stack,
        stack_frames.file_id,
        stack_frames.frame,
        stack_frames.position,
        groups.attribute as grouped_by,
        coalesce(groups.part, 0) as part,
        groups.one_position
    from {{ ref('int_stack_frames') }} as stack_frames
    left join {{ ref('int_stack_groups') }} as groups using (file_id, frame)
    where
        (stack_frames.file_id, stack_frames.frame) not in (
            select (localizers.file_id, localizers.frame) from localizers
        )
),

-- The largest stack becomes the first. A number is what sorting knows it by.
stacks as (
    select
        source,
        series_key,
        stack,
        part,
        min(one_position) as one_position,
        row_number() over (
            partition by source, series_key order by count(*) desc, stack, part
        ) as rank,
        row_number() over () as number
    from kept
    group by source, series_key, stack, part
),

-- Sorted are few columns, none of them wide: half the time of all that is done here.
stepped as (
    select
        kept.file_id,
        kept.frame,
        kept.grouped_by,
        stacks.number,
        kept.position,
        kept.position - lag(kept.position) over (
            partition by stacks.number order by kept.position
        ) as step
    from kept
    inner join stacks using (source, series_key, stack, part)
),

-- Steps beyond the tolerance tell the spacing; only finer stacks are measured by all steps.
scales as (
    select
        stacks.number,
        stacks.rank,
        coalesce(
            min(stacks.one_position),
            least(
                {{ tolerance('duplicate_position') }},
                coalesce(
                    quantile_disc(stepped.step, 0.5) filter (
                        stepped.step > {{ tolerance('duplicate_position') }}
                    ),
                    quantile_disc(stepped.step, 0.5) filter (stepped.step > 1e-6),
                    1
                ) * {{ tolerance('duplicate_position.share') }}
            )
        ) as one_position
    from stepped
    inner join stacks on stepped.number = stacks.number
    group by stacks.number, stacks.rank
),

slots as (
    select
        stepped.file_id,
        stepped.frame,
        stepped.grouped_by,
        scales.rank as stack,
        count(*) filter (coalesce(stepped.step > scales.one_position, true)) over (
            partition by stepped.number order by stepped.position
        ) as slot
    from stepped
    inner join scales on stepped.number = scales.number
),

placed as (
    select
        stack_frames.*,
        degrees(atan(sqrt(lines.row_slope ** 2 + lines.column_slope ** 2))) as line_degrees,
        {{ off_line_mm('stack_frames', 'lines') }} as off_line_mm
    from {{ ref('int_stack_frames') }} as stack_frames
    left join {{ ref('int_stack_lines') }} as lines using (source, series_key, stack)
)

select
    placed.source,
    placed.series_key,
    slots.stack,
    slots.grouped_by,
    slots.slot,
    placed.file_id,
    placed.frame,
    placed.path,
    frames.label,
    frames.frames > 1 as is_multiframe,
    frames.Modality,
    placed.position,
    placed.normal,
    placed.line_degrees,
    placed.off_line_mm,
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
from slots
inner join placed using (file_id, frame)
inner join {{ ref('frames') }} as frames using (file_id, frame)
