-- Images with pixel data and no statistics yet, folder by folder, with what their headers say.
select
    images.source,
    images.path,
    images.file_id,
    images.modified_at,
    images.size_bytes,
    images.TransferSyntaxUID as syntax,
    images.Rows as rows,
    images.Columns as columns,
    images.SamplesPerPixel as samples,
    images.NumberOfFrames as frames,
    images.BitsAllocated as bits_allocated,
    images.BitsStored as bits_stored,
    coalesce(images.PixelRepresentation = 1, false) as is_signed,
    images.RescaleSlope as slope,
    images.RescaleIntercept as intercept,
    images.PixelPaddingValue as padding,
    images.PixelPaddingRangeLimit as padding_limit,
    coalesce(images.Modality = 'CT', false) as is_ct,
    images.NumberOfFrames is null
    and images.ModalityLUTSequence is null
    and images.DoseGridScaling is null
    and coalesce(images.PhotometricInterpretation, '') in ('MONOCHROME1', 'MONOCHROME2')
        as is_simple,
    images.pixel_bytes
from lake.images as images
left join run.pixel_stats as stats using (file_id)
where images.pixel_bytes > 0 and stats.file_id is null
order by images.source, images.path;
