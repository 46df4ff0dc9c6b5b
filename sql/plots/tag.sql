-- The commonest values of a tag, over all sources; numbers stand in their order.
with

counted as (
    select
        value,
        try_cast(value as double) as number,
        sum(images)::bigint as images,
        max(path) as path
    from intermediate.int_source_path_values
    where
        scope = '(all)'
        and not is_empty
        and lower(path) = lower(getvariable('path'))
        and source = coalesce(getvariable('source'), source)
    group by value
),

ranked as (
    select
        *,
        count(*) over () as distinct_values,
        count(number) over () = count(*) over () as are_numbers,
        row_number() over (order by images desc, value) as rank
    from counted
)

select
    path,
    value,
    images,
    distinct_values
from ranked
where rank <= getvariable('top')
order by
    case when are_numbers then number end,
    rank
