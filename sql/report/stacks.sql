-- The geometry of each stack, and its steps from position to position as runs of equal ones:
-- [mm to a hundredth, how many, slices missing in each].
with

steps as (
    select
        source,
        series_key,
        stack,
        slot,
        round(step, 2) as step,
        coalesce(missing_slices, 0) as missing
    from intermediate.int_stack_positions
    where step is not null
),

changes as (
    select
        *,
        coalesce(
            step <> lag(step) over stacks or missing <> lag(missing) over stacks, true
        ) as is_new
    from steps
    window stacks as (partition by source, series_key, stack order by slot)
),

numbered as (
    select
        *,
        count_if(is_new) over (partition by source, series_key, stack order by slot) as run
    from changes
),

runs as (
    select
        source,
        series_key,
        stack,
        run,
        any_value(step) as step,
        count(*) as steps,
        any_value(missing) as missing
    from numbered
    group by source, series_key, stack, run
),

stack_runs as (
    select
        source,
        series_key,
        stack,
        list([step, steps, missing] order by run)[:1000] as steps
    from runs
    group by source, series_key, stack
)

select
    n.series_number,
    g.stack,
    g.plane,
    g.oblique_degrees,
    g.images,
    g.positions,
    g.position_min,
    g.spacing_median,
    g.spacing_min,
    g.spacing_max,
    g.missing_slices,
    g.irregular_steps,
    g.repetition_max,
    g.shear_degrees,
    g.slice_thickness_mm,
    g.is_volume,
    g.why_not,
    s.steps
from series_geometry as g
inner join report_series as n on g.source = n.source and g.series_key = n.series_key
left join stack_runs as s
    on g.source = s.source and g.series_key = s.series_key and g.stack = s.stack
order by n.series_number, g.stack
limit 20000
