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
        count(distinct struct_pack(number := InstanceNumber, dimension := dimension))
            as images_told_apart,
        count(distinct dimension) as dimensions,
        min(path) as path
    from slices
    group by source, series_key, stack, slot
),

stepped as (
    select
        *,
        position - lag(position) over (
            partition by source, series_key, stack order by slot
        ) as step
    from positions
),

-- The lower median: with two steps the usual one is their mean and hides a gap.
spaced as (
    select
        *,
        quantile_disc(step, 0.5) over (partition by source, series_key, stack) as spacing
    from stepped
),

compared as (
    select
        *,
        coalesce(
            abs(step - lag(step) over (partition by source, series_key, stack order by slot))
            > greatest({{ tolerance('mixed_spacing') }} * step, 0.02),
            true
        ) as starts_run
    from spaced
),

numbered as (
    select
        *,
        count(*) filter (starts_run) over (
            partition by source, series_key, stack order by slot
        ) as run
    from compared
),

sized as (
    select
        *,
        count(step) over (partition by source, series_key, stack, run) >= 3 as is_in_group,
        case
            when count(step) over (partition by source, series_key, stack, run) >= 3
                then quantile_disc(step, 0.5) over (partition by source, series_key, stack, run)
        end as run_spacing,
        step / spacing as spacings
    from numbered
),

-- One step between two groups of different spacing belongs to the change of it.
neighboured as (
    select
        *,
        coalesce(
            not is_in_group
            and abs(
                lag(run_spacing) over (partition by source, series_key, stack order by slot)
                - lead(run_spacing) over (partition by source, series_key, stack order by slot)
            ) > greatest({{ tolerance('mixed_spacing') }} * spacing, 0.1),
            false
        ) as is_change
    from sized
),

-- A group's steps are held against the group's own spacing.
judged as (
    select
        *,
        coalesce(
            not is_in_group
            and not is_change
            and round(spacings) >= 2
            and abs(spacings - round(spacings)) <= {{ tolerance('missing_slices') }},
            false
        ) as is_gap,
        coalesce(
            not is_change
            and abs(step - coalesce(run_spacing, spacing))
            > greatest(
                {{ tolerance('irregular_spacing') }} * coalesce(run_spacing, spacing), 0.02
            ),
            false
        ) as is_off_spacing
    from neighboured
)

select
    source,
    series_key,
    stack,
    slot,
    position,
    path,
    images,
    images_told_apart,
    dimensions,
    step,
    spacing,
    run,
    is_in_group,
    is_gap,
    case when is_gap then round(spacings)::bigint - 1 else 0 end as missing_slices,
    is_off_spacing and not is_gap as is_irregular
from judged
