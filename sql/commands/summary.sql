-- How much a warehouse holds.
select
    'patients' as name,
    count(*) as rows
from patients
union all
select
    'studies',
    count(*)
from studies
union all
select
    'series',
    count(*)
from series
union all
select
    'images',
    count(*)
from images
union all
select
    'elements',
    count(*)
from elements
