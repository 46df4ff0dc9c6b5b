{#- Long because a step is judged by its run, its stack, and the images that may fill it. -#}
-- The lower median: with two steps the usual one is their mean and hides a gap.
with

steps as (
    select
        steps.*,
        steps.step + lag(steps.step) over (
            partition by steps.source, steps.series_key, steps.stack order by steps.slot
        ) as two_steps,
        steps.number_step * lag(steps.number_step) over (
            partition by steps.source, steps.series_key, steps.stack order by steps.slot
        ) > 0 as is_numbered_on,
        runs.run
    from {{ ref('int_stack_steps') }} as steps
    left join {{ ref('int_spacing_runs') }} as runs using (source, series_key, stack, slot)
),

groups as (
    select
        source,
        series_key,
        stack,
        run,
        quantile_disc(step, 0.5) as spacing
    from steps
    group by source, series_key, stack, run
    having count(step) >= 3
),

group_spacings as (
    select
        source,
        series_key,
        stack,
        min(spacing) as least,
        max(spacing) as greatest
    from groups
    group by source, series_key, stack
),

stacks as (
    select
        source,
        series_key,
        stack,
        quantile_disc(step, 0.5) as spacing,
        -- Steps that change by turns are two stacks in each other, and no slice is missing.
        count(two_steps) >= 5 and {{ is_even('two_steps') }} as is_by_turns
    from steps
    group by source, series_key, stack
),

sized as (
    select
        steps.*,
        stacks.spacing,
        stacks.is_by_turns,
        groups.spacing is not null as is_in_group,
        groups.spacing as run_spacing,
        group_spacings.least as least_run_spacing,
        group_spacings.greatest as greatest_run_spacing,
        steps.step / stacks.spacing as spacings
    from steps
    inner join stacks using (source, series_key, stack)
    left join groups using (source, series_key, stack, run)
    left join group_spacings using (source, series_key, stack)
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
            ) > {{ spacing_tolerance('mixed_spacing', 'spacing') }},
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
                greatest_run_spacing - least_run_spacing
                > {{ spacing_tolerance('mixed_spacing', 'least_run_spacing') }}
                then coalesce(run_spacing, spacing)
            else spacing
        end as base_spacing
    from neighboured
),

unplaced as (
    select
        source,
        series_key,
        stack,
        slot,
        count(*) as images
    from {{ ref('int_unplaced_images') }}
    group by source, series_key, stack, slot
),

-- Slices far apart are two coverages, unless their numbers leave room for what is between. Nobody
-- lost a million slices: such a step is a position gone wrong.
judged as (
    select
        *,
        coalesce(
            step > {{ tolerance('coverage_gap') }}
            and spacings between {{ tolerance('coverage_gap.steps') }} and 1e6
            and not coalesce(is_numbered_on and abs(number_step) > spacings / 2, false),
            false
        ) as is_coverage_gap,
        coalesce(
            not is_in_group
            and not is_change
            and not is_by_turns
            and round(spacings) between 2 and 1e6
            and abs(spacings - round(spacings)) <= {{ tolerance('missing_slices') }},
            false
        ) as is_wide,
        coalesce(
            not is_change
            and abs(step - base_spacing)
            > {{ spacing_tolerance('irregular_spacing', 'base_spacing') }},
            false
        ) as is_off_spacing
    from based
),

-- A slice that is there without a position is not missing.
filled as (
    select
        judged.*,
        case
            when judged.is_wide and not judged.is_coverage_gap
                then round(judged.spacings)::bigint - 1
            else 0
        end as lacking,
        lacking between 1 and coalesce(unplaced.images, 0) as is_filled
    from judged
    left join unplaced using (source, series_key, stack, slot)
),

explained as (
    select
        filled.*,
        filled.is_filled
        or coalesce(
            sum(filled.lacking) filter (not filled.is_filled) over in_stack
            <= unplaced.images,
            false
        ) as is_explained
    from filled
    left join unplaced
        on
            filled.source = unplaced.source
            and filled.series_key = unplaced.series_key
            and filled.stack = unplaced.stack
            and unplaced.slot is null
    window in_stack as (
        partition by filled.source, filled.series_key, filled.stack
    )
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
    is_coverage_gap,
    lacking > 0 and not is_explained as is_gap,
    case when is_explained then 0 else lacking end as missing_slices,
    is_off_spacing and not is_wide and not is_coverage_gap as is_irregular
from explained
