with

kinds as (
    select file_id from {{ ref('int_image_kinds') }}
    where not is_left_out
),

frames as (
    select
        frames.source,
        frames.series_key,
        frames.file_id,
        frames.frame,
        frames.path,
        frames.ImagePositionPatient,
        {{ rounded('frames.ImageOrientationPatient') }} as orientation
    from {{ ref('frames') }} as frames
    inner join kinds on frames.file_id = kinds.file_id
    where frames.geometry_source not in ('none', 'mosaic')
),

orientations as (
    select
        source,
        series_key,
        orientation,
        row_number() over (
            partition by source, series_key order by count(*) desc, orientation
        ) as rank,
        {{ unit_normal('orientation') }} as normal
    from frames
    where
        list_dot_product(orientation[1:3], orientation[1:3]) > 0
        and list_dot_product(orientation[4:6], orientation[4:6]) > 0
    group by source, series_key, orientation
),

-- An orientation belongs to the stack of the commonest one that it agrees with. A series of
-- thousands of orientations is not a volume: beyond the first hundreds each is a stack of its own.
stacks as (
    select
        orientations.source,
        orientations.series_key,
        orientations.orientation,
        min(leaders.rank) as stack
    from orientations
    inner join orientations as leaders
        on
            orientations.source = leaders.source
            and orientations.series_key = leaders.series_key
            and orientations.rank >= leaders.rank
            and (leaders.rank <= 500 or orientations.rank = leaders.rank)
    where
        orientations.rank = leaders.rank
        or {{ same_orientation('orientations.orientation', 'leaders.orientation') }}
    group by orientations.source, orientations.series_key, orientations.orientation
)

select
    frames.source,
    frames.series_key,
    stacks.stack,
    frames.file_id,
    frames.frame,
    frames.path,
    leaders.normal,
    {{ along('leaders.normal', 'frames.ImagePositionPatient') }} as position,
    -- Place across the normal, along the rows and the columns of the stack's orientation.
    list_dot_product(frames.ImagePositionPatient, leaders.orientation[1:3]) as along_row,
    list_dot_product(frames.ImagePositionPatient, leaders.orientation[4:6]) as along_column
from frames
inner join stacks using (source, series_key, orientation)
inner join orientations as leaders
    on
        stacks.source = leaders.source
        and stacks.series_key = leaders.series_key
        and stacks.stack = leaders.rank
-- Directions that are parallel, or numbers beyond reason, span no plane.
where isfinite({{ along('leaders.normal', 'frames.ImagePositionPatient') }})
