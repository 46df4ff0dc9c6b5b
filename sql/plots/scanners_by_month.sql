-- Series of each scanner in each month of StudyDate; `no date` where images have none.
select
    coalesce(strftime(StudyDate, '%Y-%m'), 'no date') as month,
    coalesce(
        nullif(concat_ws(' ', Manufacturer, ManufacturerModelName), ''), 'not named'
    ) as scanner,
    count(distinct (source, series_key)) as series
from images
where source = coalesce(getvariable('source'), source)
group by all
order by all
