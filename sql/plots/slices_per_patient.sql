-- How many images patients have.
select
    source,
    images,
    count(*) as patients
from patients
where source = coalesce(getvariable('source'), source)
group by all
order by all
