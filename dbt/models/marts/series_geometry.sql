with

positions as (
    select * from {{ ref('int_stack_positions') }}
),

slices as (
    select * from {{ ref('int_slices') }}
),

stacks as (
    select
        source,
        series_key,
        stack,
        any_value(normal) as normal,
        arg_min(ImagePositionPatient, (position, path)) as first_position,
        arg_max(ImagePositionPatient, (position, path)) as last_position
    from slices
    group by source, series_key, stack
),

runs as (
    select
        source,
        series_key,
        stack,
        run,
        quantile_disc(step, 0.5) as spacing
    from positions
    where is_in_group
    group by source, series_key, stack, run
),

run_spacings as (
    select
        source,
        series_key,
        stack,
        count(*) as spacing_runs,
        min(spacing) as run_spacing_min,
        max(spacing) as run_spacing_max
    from runs
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
        min(spacing) as spacing_median,
        min(step) as spacing_min,
        max(step) as spacing_max,
        (max(position) - min(position)) / nullif(count(*) - 1, 0) as spacing_mean,
        count(*) filter (is_gap) as gaps,
        sum(missing_slices)::bigint as missing_slices,
        count(*) filter (is_irregular) as irregular_steps,
        min(images) as repetition_min,
        max(images) as repetition_max,
        sum(images - images_told_apart)::bigint as images_not_told_apart,
        max(dimensions) as dimensions
    from positions
    group by source, series_key, stack
)

select
    measured.source,
    measured.series_key,
    measured.stack,
    stacks.normal,
    case
        when abs(stacks.normal[3]) > 0.8 then 'axial'
        when abs(stacks.normal[2]) > 0.8 then 'coronal'
        when abs(stacks.normal[1]) > 0.8 then 'sagittal'
        else 'oblique'
    end as plane,
    measured.images,
    measured.positions,
    measured.position_min,
    measured.position_max,
    measured.spacing_median,
    measured.spacing_min,
    measured.spacing_max,
    measured.spacing_mean,
    coalesce(run_spacings.spacing_runs, 0) as spacing_runs,
    run_spacings.run_spacing_min,
    run_spacings.run_spacing_max,
    measured.gaps,
    measured.missing_slices,
    measured.irregular_steps,
    repetitions.repetition,
    measured.repetition_min,
    measured.repetition_max,
    measured.images_not_told_apart,
    measured.dimensions,
    case
        when measured.positions > 1
            then degrees(
                acos(
                    least(
                        1,
                        abs(
                            list_cosine_similarity(
                                stacks.normal,
                                [
                                    stacks.last_position[1] - stacks.first_position[1],
                                    stacks.last_position[2] - stacks.first_position[2],
                                    stacks.last_position[3] - stacks.first_position[3]
                                ]
                            )
                        )
                    )
                )
            )
    end as shear_degrees
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
left join run_spacings
    on
        measured.source = run_spacings.source
        and measured.series_key = run_spacings.series_key
        and measured.stack = run_spacings.stack
