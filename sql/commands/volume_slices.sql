-- The slices of a stack along its normal, each with where its pixels are; of several at one
-- position the earlier ones first, by the acquisition, time and echo that tell them apart.
select
    slices.slot,
    slices.source,
    slices.path,
    sources.address,
    slices.frame - 1 as frame,
    slices.position,
    slices.ImagePositionPatient,
    frames.ImageOrientationPatient,
    slices.PixelSpacing,
    slices.SliceThickness,
    slices.Rows,
    slices.Columns,
    frames.RescaleSlope,
    frames.RescaleIntercept,
    frames.EchoTime
from intermediate.int_slices as slices
inner join frames using (file_id, frame)
inner join sources on slices.source = sources.source
where
    slices.source = getvariable('source')
    and slices.series_key = getvariable('series_key')
    and slices.stack = getvariable('stack')
order by
    slices.slot,
    frames.EchoTime,
    frames.TemporalPositionIdentifier,
    frames.NominalPercentageOfCardiacPhase,
    frames.TriggerTime,
    frames.FrameReferenceTime,
    frames.AcquisitionNumber,
    frames.DiffusionBValue,
    frames.AcquisitionTime,
    slices.InstanceNumber,
    slices.path,
    slices.frame
