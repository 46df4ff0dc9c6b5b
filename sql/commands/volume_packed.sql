-- The objects of a series that each hold a stack by themselves, the earlier ones first.
select
    images.source,
    images.path,
    sources.address,
    frames.geometry_source = 'mosaic' as is_mosaic
from frames
inner join images using (file_id)
inner join sources on images.source = sources.source
where
    getvariable('series') in (images.SeriesInstanceUID, images.series_key)
    and frames.frame = 1
    and (
        frames.geometry_source = 'mosaic'
        or (images.Modality = 'NM' and images.NumberOfFrames > 1)
    )
order by
    images.AcquisitionTime,
    images.InstanceNumber,
    images.path
