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

measured as (
    select
        source,
        series_key,
        stack,
        quantile_disc(step, 0.5) as spacing_median,
        avg(step) as spacing_mean,
        arg_min(step, slot) as spacing_first,
        min(step) as spacing_min,
        max(step) as spacing_max
    from steps
    group by source, series_key, stack
)

select
    measured.*,
    commonest.spacing_mode,
    greatest(
        measured.spacing_max - measured.spacing_median,
        measured.spacing_median - measured.spacing_min
    ) as largest_deviation
from measured
inner join commonest
    on
        measured.source = commonest.source
        and measured.series_key = commonest.series_key
        and measured.stack = commonest.stack
