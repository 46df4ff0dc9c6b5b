with

images as (
    select * from {{ ref('stg_images') }}
),

copies as (
    select file_id from {{ ref('int_repeated_instances') }}
    where is_copy
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
        images.DiffusionBValue,
        images.TriggerTime,
        images.TemporalPositionIdentifier,
        images.ImageType,
        images.Rows,
        images.Columns,
        images.PixelSpacing,
        images.ImagePositionPatient,
        images.ImageOrientationPatient,
        copies.file_id is not null as is_copy,
        coalesce(images.SOPClassUID like '1.2.840.10008.5.1.4.1.1.7%', false)
        or (
            images.Rows is not null
            and coalesce(images.NumberOfFrames, 1) <= 1
            and images.ImagePositionPatient is null
            and images.ImageOrientationPatient is null
            and images.PixelSpacing is null
        ) as is_non_volume,
        -- Mosaics and multi-frame objects hold many planes in one file.
        coalesce(
            len(images.ImagePositionPatient) = 3
            and len(images.ImageOrientationPatient) = 6
            and list_count(images.ImagePositionPatient) = 3
            and list_count(images.ImageOrientationPatient) = 6
            and coalesce(images.NumberOfFrames, 1) <= 1
            and not list_contains(coalesce(images.ImageType, []), 'MOSAIC'),
            false
        ) as has_plane
    from images
    left join copies on images.file_id = copies.file_id
)

select
    *,
    bool_or(not is_copy and not is_non_volume) over (partition by source, series_key)
        as series_has_slices,
    is_copy or (is_non_volume and series_has_slices) as is_set_aside,
    has_plane and not is_set_aside as is_slice
from described
