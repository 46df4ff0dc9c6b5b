-- The series that have a stack, with their images.
select
    series_key,
    images
from series
where (source, series_key) in (
    select (stacks.source, stacks.series_key) from series_geometry as stacks
)
order by images desc, series_key
