with

steps as (
    select
        source,
        series_key,
        stack,
        slot,
        step,
        round(step, 3) as rounded
    from {{ ref('int_stack_steps') }}
    where step is not null
),

commonest as (
    select
        source,
        series_key,
        stack,
        quantile_disc(step, 0.5) as spacing_mode
    from steps
    group by source, series_key, stack, rounded
    qualify row_number() over (
        partition by source, series_key, stack order by count(*) desc, rounded
    ) = 1
),

-- A program that sorts the images and subtracts finds a step of 0 where two share a position.
repetitions as (
    select
        source,
        series_key,
        stack,
        max(images) > 1 as is_repeated,
        min(images) = max(images) and bool_and(images = images_told_apart) as is_in_time
    from {{ ref('int_stack_steps') }}
    group by source, series_key, stack
),

measured as (
    select
        source,
        series_key,
        stack,
        quantile_disc(step, 0.5) as spacing_median,
        avg(step order by slot) as spacing_mean,
        arg_min(step, slot) as spacing_first,
        min(step) as spacing_min,
        max(step) as spacing_max
    from steps
    group by source, series_key, stack
)

select
    measured.*,
    commonest.spacing_mode,
    repetitions.is_repeated,
    repetitions.is_in_time,
    greatest(
        measured.spacing_max - measured.spacing_median,
        measured.spacing_median - measured.spacing_min
    ) as largest_deviation
from measured
inner join commonest using (source, series_key, stack)
inner join repetitions using (source, series_key, stack)
