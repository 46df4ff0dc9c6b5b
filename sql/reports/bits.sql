-- How pixels are stored: bits allocated, stored and highest, sign, samples and their meaning.
-- param source: this source alone
select
    source,
    Modality,
    BitsAllocated,
    BitsStored,
    HighBit,
    PixelRepresentation,
    SamplesPerPixel,
    PhotometricInterpretation,
    BitsStored <= BitsAllocated and HighBit = BitsStored - 1 as is_consistent,
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
    BitsAllocated,
    BitsStored,
    HighBit,
    PixelRepresentation,
    SamplesPerPixel,
    PhotometricInterpretation
