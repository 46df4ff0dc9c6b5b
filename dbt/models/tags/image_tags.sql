with

varying as (
    select * from {{ ref('int_entity_paths') }}
    where scope = '(all)' and level = 'series' and state = 'varies'
),

path_values as not materialized (
    select * from {{ ref('int_series_path_values') }}
),

paths as not materialized (
    select * from {{ ref('int_paths') }}
),

numbers as (
    select distinct
        path_values.source,
        path_values.series_key,
        path_values.path,
        path_values.number_min as number
    from path_values
    inner join varying
        on
            path_values.source = varying.source
            and path_values.series_key = varying.entity_key
            and path_values.path = varying.path
    where varying.vm = 1 and path_values.number_min is not null
),

steps as (
    select
        source,
        series_key,
        path,
        number,
        number - lag(number) over (
            partition by source, series_key, path order by number
        ) as distance
    from numbers
),

-- Evenly spaced: no step is off the mean one by more than a thousandth of it. What lies too far
-- apart to be told as a number is not.
even_steps as (
    select
        source,
        series_key,
        path,
        (max(number) - min(number)) / count(distance) as step
    from steps
    group by source, series_key, path
    having
        max(distance) - min(distance)
        <= 1e-3 * (max(number) - min(number)) / count(distance)
        and isfinite(max(number) - min(number))
)

select
    varying.source,
    varying.entity_key as series_key,
    varying.path,
    paths.tag,
    paths.keyword,
    paths.vr,
    varying.distinct_values,
    -- Of numbers the first by text (10 before 9) would be taken for the smallest.
    case when varying.vm > 1 or varying.number_min is null then varying.value_min end as value_min,
    case when varying.vm > 1 or varying.number_min is null then varying.value_max end as value_max,
    varying.number_min,
    varying.number_max,
    even_steps.step,
    varying.images,
    varying.present,
    varying.empty,
    varying.absent
from varying
inner join paths using (source, path)
left join even_steps
    on
        varying.source = even_steps.source
        and varying.entity_key = even_steps.series_key
        and varying.path = even_steps.path
