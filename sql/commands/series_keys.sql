-- A series by its UID or by its key.
select
    source,
    series_key
from series
where getvariable('series') in (SeriesInstanceUID, series_key)
order by source
