with

images as not materialized (
    select * from {{ ref('images') }}
),

kinds as not materialized (
    select * from {{ ref('int_image_kinds') }}
),

-- An object is set aside as a localizer when each of its frames is one.
localizers as (
    select localizers.file_id
    from {{ ref('int_localizers') }} as localizers
    inner join {{ ref('frames') }} as frames using (file_id, frame)
    group by localizers.file_id
    having count(*) = any_value(frames.frames)
),

described as (
    select
        images.source,
        images.series_key,
        images.file_id,
        images.path,
        images.Modality,
        images.SOPClassUID,
        images.InstanceNumber,
        images.AcquisitionNumber,
        images.EchoTime,
        coalesce(images.DiffusionBValue, b_values.DiffusionBValue) as DiffusionBValue,
        images.TriggerTime,
        images.TemporalPositionIdentifier,
        images.NominalPercentageOfCardiacPhase,
        images.FrameReferenceTime,
        images.InversionTime,
        images.FlipAngle,
        images.EchoNumbers,
        images.DiffusionGradientOrientation,
        images.KVP,
        images.ConvolutionKernel,
        images.ContrastBolusAgent,
        images.AcquisitionDate,
        images.ConcatenationUID,
        images.ImageType,
        images.Rows,
        images.Columns,
        images.PixelSpacing,
        images.ImagePositionPatient,
        images.ImageOrientationPatient,
        kinds.is_copy,
        kinds.is_non_volume,
        kinds.has_plane,
        kinds.series_has_slices,
        kinds.is_left_out,
        localizers.file_id is not null as is_localizer
    from images
    inner join kinds on images.file_id = kinds.file_id
    left join localizers on images.file_id = localizers.file_id
    left join {{ ref('int_private_b_values') }} as b_values on images.file_id = b_values.file_id
)

select
    *,
    is_left_out or is_localizer as is_set_aside,
    has_plane and not is_set_aside as is_slice,
    is_slice and not is_non_volume and coalesce(Modality in ('CT', 'MR', 'PT'), false)
        as is_volume_slice
from described
