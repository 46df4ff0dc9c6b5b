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

verdicts as (
    select
        source,
        series_key,
        stack,
        list_sort(list(program) filter (passes)) as passing,
        list_sort(list(program) filter (not passes)) as failing
    from {{ ref('series_tolerances') }}
    group by source, series_key, stack
)

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
    measured.gaps,
    measured.missing_slices,
    coalesce([gap[2] for gap in measured.gap_labels], []) as gaps_between,
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
            then tan(radians(stacks.line_degrees)) * (measured.position_max - measured.position_min)
    end as shear_mm,
    case when measured.positions > 1 then stacks.drift_mm end as drift_mm,
    stacks.gantry_tilt_degrees,
    stacks.slice_thickness_mm,
    stacks.spacing_between_slices_mm,
    measured.slice_location_spacing,
    measured.repetition_min = measured.repetition_max
    and spacings.largest_deviation <= greatest(
        {{ tolerance('irregular_spacing') }} * spacings.spacing_median,
        {{ tolerance('irregular_spacing.mm') }}
    ) as is_regular,
    concat_ws(
        '; ',
        'passes in ' || nullif(array_to_string(verdicts.passing, ', '), ''),
        'fails in ' || nullif(array_to_string(verdicts.failing, ', '), '')
    ) as verdicts
from measured
inner join stacks
    on
        measured.source = stacks.source
        and measured.series_key = stacks.series_key
        and measured.stack = stacks.stack
inner join repetitions
    on
        measured.source = repetitions.source
        and measured.series_key = repetitions.series_key
        and measured.stack = repetitions.stack
left join spacings
    on
        measured.source = spacings.source
        and measured.series_key = spacings.series_key
        and measured.stack = spacings.stack
left join runs
    on
        measured.source = runs.source
        and measured.series_key = runs.series_key
        and measured.stack = runs.stack
left join verdicts
    on
        measured.source = verdicts.source
        and measured.series_key = verdicts.series_key
        and measured.stack = verdicts.stack
