-- The lower median: with two steps the usual one is their mean and hides a gap.
with

spaced as (
    select
        steps.*,
        runs.run,
        quantile_disc(steps.step, 0.5) over (
            partition by steps.source, steps.series_key, steps.stack
        ) as spacing
    from {{ ref('int_stack_steps') }} as steps
    left join {{ ref('int_spacing_runs') }} as runs
        on
            steps.source = runs.source
            and steps.series_key = runs.series_key
            and steps.stack = runs.stack
            and steps.slot = runs.slot
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
    from spaced
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
            ) > greatest(
                {{ tolerance('mixed_spacing') }} * spacing, {{ tolerance('mixed_spacing.mm') }}
            ),
            false
        ) as is_change
    from sized
),

-- Where the spacing changes from group to group, a step is held against that of its own group.
based as (
    select
        *,
        case
            when
                max(run_spacing) over in_stack - min(run_spacing) over in_stack > greatest(
                    {{ tolerance('mixed_spacing') }} * min(run_spacing) over in_stack,
                    {{ tolerance('mixed_spacing.mm') }}
                )
                then coalesce(run_spacing, spacing)
            else spacing
        end as base_spacing
    from neighboured
    window in_stack as (partition by source, series_key, stack)
),

-- Nobody lost a million slices: such a step is a position gone wrong.
judged as (
    select
        *,
        coalesce(
            not is_in_group
            and not is_change
            and round(spacings) between 2 and 1e6
            and abs(spacings - round(spacings)) <= {{ tolerance('missing_slices') }},
            false
        ) as is_gap,
        coalesce(
            not is_change
            and abs(step - base_spacing)
            > greatest(
                {{ tolerance('irregular_spacing') }} * base_spacing,
                {{ tolerance('irregular_spacing.mm') }}
            ),
            false
        ) as is_off_spacing
    from based
)

select
    source,
    series_key,
    stack,
    slot,
    position,
    path,
    label,
    path_before,
    label_before,
    images,
    images_told_apart,
    dimensions,
    step,
    slice_location_step,
    spacing,
    run,
    run_spacing,
    is_in_group,
    is_gap,
    case when is_gap then round(spacings)::bigint - 1 else 0 end as missing_slices,
    is_off_spacing and not is_gap as is_irregular
from judged
