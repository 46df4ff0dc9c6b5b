-- Series with their geometry, those with the worst findings first; a thousand at the most.
select
    source,
    folder,
    modalities,
    descriptions,
    images,
    positions,
    spacing_mm,
    missing_slices,
    worst_finding
from series
order by coalesce(position(worst_finding in 'EWI'), 4), source, folder
limit 1000
