-- Series that can be stacked into one volume, and why the others cannot.
-- param source: this source alone
select
    source,
    modalities,
    descriptions,
    is_volume,
    why_not,
    images,
    stacks,
    positions,
    spacing_mm,
    folder,
    series_key
from series
where source = coalesce(getvariable('source'), source)
order by is_volume desc, source, folder, series_key
