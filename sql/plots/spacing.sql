-- Distances of neighbouring slices: how many stacks have which, by modality.
select
    coalesce(Modality, 'none') as Modality,
    round(spacing_median, 2) as spacing_mm,
    count(*) as stacks
from series_geometry
where
    spacing_median is not null
    and source = coalesce(getvariable('source'), source)
group by all
order by all
