with

kinds as (
    select file_id from {{ ref('int_image_kinds') }}
    where not is_left_out
),

localizers as not materialized (
    select * from {{ ref('int_localizers') }}
),

frames as (
    select
        frames.source,
        frames.series_key,
        frames.file_id,
        frames.frame,
        frames.path,
        frames.label,
        frames.InstanceNumber,
        -- Frames of doses and nuclear medicine have no position of their own: vectors place them.
        frames.frames > 1 and coalesce(frames.Modality in ('RTDOSE', 'NM'), false) as is_offset,
        frames.PixelSpacing is not null as has_spacing,
        frames.ImagePositionPatient is not null as names_position,
        frames.ImageOrientationPatient is not null as names_orientation,
        {{ is_complete('frames.ImagePositionPatient', 3) }} as has_position,
        {{ is_complete('frames.ImageOrientationPatient', 6) }} as has_orientation,
        case when has_orientation then {{ rounded('frames.ImageOrientationPatient') }} end
            as orientation,
        case when has_orientation then {{ off_orthonormal('frames.ImageOrientationPatient') }} end
            as deviation
    from {{ ref('frames') }} as frames
    inner join kinds on frames.file_id = kinds.file_id
    where
        frames.geometry_source <> 'mosaic'
        and (frames.file_id, frames.frame) not in (
            select (localizers.file_id, localizers.frame) from localizers
        )
),

-- As for stacks, the commonest of a series' orientations are enough to compare with.
placed_orientations as (
    select
        source,
        series_key,
        orientation
    from frames
    where has_position and has_orientation
    group by source, series_key, orientation
    qualify row_number() over (
        partition by source, series_key order by count(*) desc, orientation
    ) <= 500
),

unplaced_orientations as (
    select distinct
        source,
        series_key,
        orientation
    from frames
    where not has_position and has_orientation
),

-- Where no image of an orientation has a position, the stack as a whole has no geometry.
bare_stacks as (
    select unplaced.*
    from unplaced_orientations as unplaced
    where not exists (
        select 1 from placed_orientations as placed
        where
            placed.source = unplaced.source
            and placed.series_key = unplaced.series_key
            and {{ same_orientation('placed.orientation', 'unplaced.orientation') }}
    )
)

select
    source,
    series_key,
    file_id,
    frame,
    path,
    label,
    InstanceNumber,
    orientation,
    has_position,
    has_orientation,
    deviation,
    not has_position
    and not is_offset
    and (names_orientation or has_spacing)
    and (source, series_key, coalesce(orientation, [])) not in (
        select (bare_stacks.source, bare_stacks.series_key, bare_stacks.orientation)
        from bare_stacks
    ) as lacks_position,
    not has_orientation and not is_offset and (names_position or has_spacing)
        as lacks_orientation,
    not has_position and is_offset as lacks_offset
from frames
