-- Scanners and how they were used, with patients, series and images of each setting.
-- param source: this source alone
select
    source,
    Modality,
    Manufacturer,
    ManufacturerModelName,
    BodyPartExamined,
    array_to_string(ConvolutionKernel, '\') as ConvolutionKernel,
    KVP,
    SliceThickness,
    count(distinct patient_key) as patients,
    count(distinct series_key) as series,
    count(*) as images
from images
where source = coalesce(getvariable('source'), source)
group by all
order by
    source,
    images desc,
    Modality,
    Manufacturer,
    ManufacturerModelName,
    BodyPartExamined,
    ConvolutionKernel,
    KVP,
    SliceThickness
