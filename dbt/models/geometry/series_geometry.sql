{#- Long because all that is measured on a stack is listed, and then judged as one verdict. -#}
with

positions as not materialized (
    select * from {{ ref('int_stack_positions') }}
),

slices as not materialized (
    select * from {{ ref('int_slices') }}
),

spacings as not materialized (
    select * from {{ ref('int_stack_spacings') }}
),

stacks as (
    select
        source,
        series_key,
        stack,
        any_value(grouped_by) as grouped_by,
        any_value(normal) as normal,
        any_value(line_degrees) as line_degrees,
        max(off_line_mm) as drift_mm,
        min(Modality) as Modality,
        min(FrameOfReferenceUID) <> max(FrameOfReferenceUID) as has_several_frames_of_reference,
        min(Rows) <> max(Rows) or min(Columns) <> max(Columns) as has_several_matrices,
        {% for axis in (1, 2) %}
        {{ 'or ' if not loop.first }}max(PixelSpacing[{{ axis }}]) - min(PixelSpacing[{{ axis }}])
        > {{ tolerance('mixed_pixel_spacing') }} * abs(min(PixelSpacing[{{ axis }}]))
        {% endfor %} as has_several_pixel_spacings,
        quantile_disc(SliceThickness, 0.5) as slice_thickness_mm,
        quantile_disc(abs(SpacingBetweenSlices), 0.5) as spacing_between_slices_mm,
        quantile_disc(abs(GantryDetectorTilt), 0.5) as gantry_tilt_degrees
    from slices
    group by source, series_key, stack
),

runs as (
    select
        source,
        series_key,
        stack,
        count(distinct run) as spacing_runs,
        min(run_spacing) as run_spacing_min,
        max(run_spacing) as run_spacing_max,
        list(distinct round(run_spacing, 4)) as run_spacings
    from positions
    where is_in_group
    group by source, series_key, stack
),

-- The commonest number of images at a position; of equally common ones the smallest.
repetitions as (
    select
        source,
        series_key,
        stack,
        images as repetition
    from positions
    group by source, series_key, stack, images
    qualify row_number() over (
        partition by source, series_key, stack order by count(*) desc, images
    ) = 1
),

measured as (
    select
        source,
        series_key,
        stack,
        sum(images)::bigint as images,
        count(*) as positions,
        min(position) as position_min,
        max(position) as position_max,
        count(*) filter (is_gap) as gaps,
        max(step) filter (is_coverage_gap) as coverage_gap_mm,
        sum(missing_slices)::bigint as missing_slices,
        min((slot, label_before || ' - ' || label), 20) filter (is_gap) as gap_labels,
        count(*) filter (is_irregular) as irregular_steps,
        count(*) filter (images > 1) as repeated_positions,
        min(images) as repetition_min,
        max(images) as repetition_max,
        sum(images - images_told_apart)::bigint as images_not_told_apart,
        max(dimensions) as dimensions,
        quantile_disc(slice_location_step, 0.5) as slice_location_spacing
    from positions
    group by source, series_key, stack
),

unplaced as (
    select
        source,
        series_key,
        stack,
        count(*) as images
    from {{ ref('int_unplaced_images') }}
    group by source, series_key, stack
),

spacing_verdicts as (
    select
        source,
        series_key,
        stack,
        list_sort(list(program) filter (passes)) as passing,
        list_sort(list(program) filter (not passes)) as failing
    from {{ ref('series_tolerances') }}
    group by source, series_key, stack
),

geometry as (
    select
        measured.source,
        measured.series_key,
        measured.stack,
        stacks.Modality,
        stacks.grouped_by,
        stacks.normal,
        case
            when abs(stacks.normal[3]) > 0.8 then 'axial'
            when abs(stacks.normal[2]) > 0.8 then 'coronal'
            when abs(stacks.normal[1]) > 0.8 then 'sagittal'
            else 'oblique'
        end as plane,
        degrees(acos(least(1, list_max([abs(x) for x in stacks.normal])))) as oblique_degrees,
        measured.images,
        measured.positions,
        measured.position_min,
        measured.position_max,
        measured.position_max - measured.position_min as extent_mm,
        spacings.spacing_median,
        spacings.spacing_mode,
        spacings.spacing_min,
        spacings.spacing_max,
        spacings.spacing_mean,
        spacings.largest_deviation / spacings.spacing_median as spacing_deviation,
        coalesce(runs.spacing_runs, 0) as spacing_runs,
        runs.run_spacing_min,
        runs.run_spacing_max,
        list_sort(coalesce(runs.run_spacings, [])) as run_spacings,
        measured.coverage_gap_mm,
        measured.gaps,
        measured.missing_slices,
        coalesce([gap[2] for gap in measured.gap_labels], []) as gaps_between,
        coalesce(unplaced.images, 0) as unplaced_images,
        measured.irregular_steps,
        repetitions.repetition,
        measured.repetition_min,
        measured.repetition_max,
        measured.repeated_positions,
        measured.images_not_told_apart,
        measured.dimensions,
        case when measured.positions > 1 then stacks.line_degrees end as shear_degrees,
        case
            when measured.positions > 1
                then
                    tan(radians(stacks.line_degrees))
                    * (measured.position_max - measured.position_min)
        end as shear_mm,
        case when measured.positions > 1 then stacks.drift_mm end as drift_mm,
        stacks.gantry_tilt_degrees,
        stacks.slice_thickness_mm,
        stacks.spacing_between_slices_mm,
        measured.slice_location_spacing,
        concat_ws(
            '; ',
            'passes in ' || nullif(array_to_string(spacing_verdicts.passing, ', '), ''),
            'fails in ' || nullif(array_to_string(spacing_verdicts.failing, ', '), '')
        ) as spacing_verdicts,
        stacks.has_several_frames_of_reference,
        stacks.has_several_matrices,
        stacks.has_several_pixel_spacings,
        spacings.largest_deviation
        <= {{ spacing_tolerance('irregular_spacing', 'spacings.spacing_median') }} as is_even
    from measured
    inner join stacks using (source, series_key, stack)
    inner join repetitions using (source, series_key, stack)
    left join spacings using (source, series_key, stack)
    left join runs using (source, series_key, stack)
    left join unplaced using (source, series_key, stack)
    left join spacing_verdicts using (source, series_key, stack)
),

-- Angles count only where they move the stack: on a short one rounding alone makes some degrees.
angled as (
    select
        *,
        coalesce(gantry_tilt_degrees, 0) as tilt_degrees,
        coalesce(
            positions > 2
            and shear_degrees > {{ tolerance('sheared_stack') }}
            and shear_mm > {{ tolerance('sheared_stack.mm') }},
            false
        ) as is_sheared,
        coalesce(
            abs(shear_degrees - tilt_degrees) <= {{ tolerance('tilt_tag_mismatch') }}
            or abs(shear_mm - tan(radians(tilt_degrees)) * extent_mm)
            <= {{ tolerance('sheared_stack.mm') }},
            false
        ) as is_tilt_tagged
    from geometry
),

judged as (
    select
        *,
        list_filter(
            [
                case when positions = 1 then 'one position' end,
                case
                    when positions > 1 and repeated_positions > 0
                        then
                            repeated_positions || ' of ' || positions
                            || ' positions hold several images'
                end,
                case
                    when unplaced_images > 0
                        then {{ count_of('unplaced_images', 'image') }} || ' without a place'
                end,
                case
                    when coverage_gap_mm > 0
                        then
                            'a gap of ' || {{ plain_number('round(coverage_gap_mm, 2)') }} || ' mm'
                end,
                case
                    when missing_slices > 0
                        then {{ count_of('missing_slices', 'slice') }} || ' missing'
                    when
                        not is_even
                        and (
                            (unplaced_images = 0 and coverage_gap_mm is null)
                            or irregular_steps > 0
                        )
                        then
                            'spacing from ' || {{ plain_number('spacing_min') }} || ' to '
                            || {{ plain_number('spacing_max') }} || ' mm'
                end,
                case
                    when is_sheared and not (tilt_degrees > 0 and is_tilt_tagged)
                        then
                            'sheared by ' || {{ plain_number('round(shear_degrees, 2)') }}
                            || ' degrees'
                end,
                case
                    when drift_mm > {{ tolerance('in_plane_drift') }}
                        then 'slices beside the line of the others'
                end,
                case when has_several_matrices then 'several matrices' end,
                case when has_several_pixel_spacings then 'several pixel spacings' end,
                case when has_several_frames_of_reference then 'several frames of reference' end
            ],
            lambda x: x is not null
        ) as reasons
    from angled
)

select
    * exclude (
        tilt_degrees,
        has_several_frames_of_reference,
        has_several_matrices,
        has_several_pixel_spacings,
        is_even,
        reasons
    ),
    is_even and repetition_max = 1 and not is_sheared as is_regular,
    len(reasons) = 0 as is_volume,
    nullif(array_to_string(reasons, '; '), '') as why_not
from judged
