with

frames as not materialized (
    select * from {{ ref('frames') }}
),

-- Of an instance that stands more than once in its series one file goes on: the smallest path.
repeats as (
    select file_id from {{ ref('int_repeated_instances') }}
    qualify row_number() over (
        partition by source, series_key, SOPInstanceUID order by path, file_id
    ) > 1
),

planes as (
    select
        file_id,
        bool_or(geometry_source not in ('none', 'mosaic')) as has_plane,
        bool_or(
            ImagePositionPatient is not null
            or ImageOrientationPatient is not null
            or PixelSpacing is not null
        ) as has_geometry
    from frames
    group by file_id
),

images as (
    select
        images.source,
        images.series_key,
        images.file_id,
        repeats.file_id is not null as is_copy,
        images.Rows is not null as is_image,
        coalesce(
            -- Secondary Capture and its multi-frame forms, not .77 and the like.
            images.SOPClassUID = '1.2.840.10008.5.1.4.1.1.7'
            or images.SOPClassUID like '1.2.840.10008.5.1.4.1.1.7.%',
            false
        )
        or (images.Rows is not null and not planes.has_geometry) as is_non_volume,
        planes.has_plane
    from {{ ref('images') }} as images
    inner join planes on images.file_id = planes.file_id
    left join repeats on images.file_id = repeats.file_id
)

select
    * exclude (is_image),
    bool_or(is_image and not is_copy and not is_non_volume) over (partition by source, series_key)
        as series_has_slices,
    is_copy or (is_non_volume and series_has_slices) as is_left_out
from images
