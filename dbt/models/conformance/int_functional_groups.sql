with

required as (
    select * from {{ source('standard', 'functional_groups') }}
),

images as (
    select
        images.source,
        images.series_key,
        images.file_id,
        images.ImageType[1] as image_type,
        sop_classes.iod
    from {{ ref('images') }} as images
    inner join {{ source('standard', 'sop_classes') }} as sop_classes
        on images.SOPClassUID = sop_classes.sop_class_uid
    where sop_classes.iod in (select required.iod from required)
),

elements as (
    select
        file_id,
        path,
        path like 'Shared%' as is_shared,
        split_part(path, '.', 2) as sequence,
        coalesce(number, 0) as items
    from {{ ref('stg_elements') }}
    where
        (
            path like 'PerFrameFunctionalGroupsSequence%'
            or path like 'SharedFunctionalGroupsSequence.%'
        )
        and depth <= 1
        and vr = 'SQ'
        and series_key in (select images.series_key from images)
),

held as (
    select
        file_id,
        sequence,
        count(*) filter (is_shared) as shared,
        count(*) filter (not is_shared) as per_frame,
        bool_or(items = 0) as is_empty
    from elements
    where sequence <> ''
    group by file_id, sequence
),

frames as (
    select
        file_id,
        max(items) as items
    from elements
    where sequence = ''
    group by file_id
)

select
    images.source,
    images.series_key,
    images.iod,
    images.file_id,
    case
        when
            bool_or(held.shared > 0) over images_of_series
            and not bool_or(held.per_frame > 0) over images_of_series
            then 'SharedFunctionalGroupsSequence.'
        else 'PerFrameFunctionalGroupsSequence.'
    end || required.sequence as path,
    required.attribute_type,
    coalesce(held.shared, 0) = 0 and coalesce(held.per_frame, 0) < greatest(frames.items, 1)
        as is_absent,
    coalesce(held.is_empty, false) and not is_absent as is_empty
from images
inner join required
    on
        images.iod = required.iod
        and (
            required.image_types is null
            or list_contains(required.image_types, images.image_type)
        )
left join frames
    on images.file_id = frames.file_id
left join held
    on images.file_id = held.file_id and required.sequence = held.sequence
window
    images_of_series as (
        partition by images.source, images.series_key, images.iod, required.sequence
    )
