-- The stacks of a series, by its UID or key, and whether each can be put into one array.
with

chosen as (
    select
        source,
        series_key
    from series
    where getvariable('series') in (SeriesInstanceUID, series_key)
)

select
    source,
    series_key,
    stack,
    positions,
    is_volume,
    why_not
from series_geometry
inner join chosen using (source, series_key)
order by source, series_key, stack
