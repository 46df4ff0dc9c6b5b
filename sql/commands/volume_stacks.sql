-- The stacks of a series, by its UID or key, and whether each can be put into one array.
select
    source,
    series_key,
    stack,
    positions,
    is_volume,
    why_not
from series_geometry
where getvariable('series') in (
    series_key,
    (
        select min(series.SeriesInstanceUID)
        from series
        where
            series.source = series_geometry.source
            and series.series_key = series_geometry.series_key
    )
)
order by source, series_key, stack
