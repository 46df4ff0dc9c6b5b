with

images as not materialized (
    select * from {{ ref('images') }}
),

multiframe as not materialized (
    select * from {{ ref('int_multiframe_frames') }}
),

-- What a frame says of itself goes before what its object says of all frames.
described as (
    select
        images.source,
        images.series_key,
        images.file_id,
        images.path,
        images.image_name,
        images.SOPClassUID,
        images.FrameOfReferenceUID,
        images.Modality,
        images.Rows,
        images.Columns,
        images.InstanceNumber,
        images.ImageIndex,
        images.AcquisitionDate,
        images.AcquisitionTime,
        images.FrameReferenceTime,
        images.InversionTime,
        coalesce(multiframe.FlipAngle, images.FlipAngle) as FlipAngle,
        coalesce(multiframe.KVP, images.KVP) as KVP,
        coalesce(multiframe.ConvolutionKernel, images.ConvolutionKernel) as ConvolutionKernel,
        images.EchoNumbers,
        images.DiffusionGradientOrientation,
        images.ContrastBolusAgent,
        multiframe.StackID,
        multiframe.InStackPositionNumber,
        multiframe.dimension_indices,
        multiframe.ReferencedSegmentNumber,
        images.SliceLocation,
        images.GantryDetectorTilt,
        coalesce(multiframe.frame, 1) as frame,
        coalesce(multiframe.frames, 1) as frames,
        coalesce(multiframe.geometry_source, 'image_plane') as geometry_source,
        case
            when multiframe.file_id is null then images.ImagePositionPatient
            else multiframe.ImagePositionPatient
        end as ImagePositionPatient,
        case
            when multiframe.file_id is null then images.ImageOrientationPatient
            else multiframe.ImageOrientationPatient
        end as ImageOrientationPatient,
        coalesce(multiframe.PixelSpacing, images.PixelSpacing) as PixelSpacing,
        coalesce(multiframe.SliceThickness, images.SliceThickness) as SliceThickness,
        coalesce(multiframe.SpacingBetweenSlices, images.SpacingBetweenSlices)
            as SpacingBetweenSlices,
        coalesce(multiframe.RescaleSlope, images.RescaleSlope) as RescaleSlope,
        coalesce(multiframe.RescaleIntercept, images.RescaleIntercept) as RescaleIntercept,
        coalesce(multiframe.FrameType, images.ImageType) as ImageType,
        coalesce(multiframe.FrameAcquisitionNumber, images.AcquisitionNumber)
            as AcquisitionNumber,
        coalesce(multiframe.EffectiveEchoTime, images.EchoTime) as EchoTime,
        coalesce(
            multiframe.DiffusionBValue, images.DiffusionBValue, b_values.DiffusionBValue
        ) as DiffusionBValue,
        coalesce(multiframe.NominalCardiacTriggerDelayTime, images.TriggerTime) as TriggerTime,
        coalesce(multiframe.TemporalPositionIndex, images.TemporalPositionIdentifier)
            as TemporalPositionIdentifier,
        coalesce(
            multiframe.NominalPercentageOfCardiacPhase, images.NominalPercentageOfCardiacPhase
        ) as NominalPercentageOfCardiacPhase
    from images
    left join multiframe on images.file_id = multiframe.file_id
    left join {{ ref('int_private_b_values') }} as b_values on images.file_id = b_values.file_id
)

select
    source,
    series_key,
    file_id,
    frame,
    frames,
    path,
    image_name || case when frames > 1 then ' frame ' || frame else '' end as label,
    SOPClassUID,
    FrameOfReferenceUID,
    Modality,
    Rows,
    Columns,
    case
        when list_contains(ImageType, 'MOSAIC') then 'mosaic'
        when
            {{ is_complete('ImagePositionPatient', 3) }}
            and {{ is_complete('ImageOrientationPatient', 6) }}
            then geometry_source
        else 'none'
    end as geometry_source,
    ImagePositionPatient,
    ImageOrientationPatient,
    PixelSpacing,
    SliceThickness,
    SpacingBetweenSlices,
    SliceLocation,
    GantryDetectorTilt,
    RescaleSlope,
    RescaleIntercept,
    ImageType,
    InstanceNumber,
    ImageIndex,
    AcquisitionNumber,
    AcquisitionDate,
    AcquisitionTime,
    FrameReferenceTime,
    InversionTime,
    FlipAngle,
    EchoNumbers,
    DiffusionGradientOrientation,
    KVP,
    ConvolutionKernel,
    ContrastBolusAgent,
    EchoTime,
    DiffusionBValue,
    TriggerTime,
    TemporalPositionIdentifier,
    NominalPercentageOfCardiacPhase,
    StackID,
    InStackPositionNumber,
    dimension_indices,
    ReferencedSegmentNumber
from described
