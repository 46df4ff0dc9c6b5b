-- Units that rescaling leads to, and the range of its slope and intercept.
-- param source: this source alone
select
    source,
    Modality,
    RescaleType,
    min(RescaleSlope) as slope_min,
    max(RescaleSlope) as slope_max,
    min(RescaleIntercept) as intercept_min,
    max(RescaleIntercept) as intercept_max,
    count(*) filter (RescaleSlope is null or RescaleIntercept is null) as images_without_rescale,
    count(distinct patient_key) as patients,
    count(distinct series_key) as series,
    count(*) as images
from images
where source = coalesce(getvariable('source'), source)
group by source, Modality, RescaleType
order by source, images desc, Modality, RescaleType
