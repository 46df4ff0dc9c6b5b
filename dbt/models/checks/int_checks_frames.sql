-- How many frames an object says it has, and how many it has.
with

images as not materialized (
    select
        file_id,
        SOPClassUID,
        NumberOfFrames
    from {{ ref('images') }}
),

series_images as not materialized (
    select * from {{ ref('int_series_images') }}
),

items as not materialized (
    select
        file_id,
        frames as items
    from {{ ref('int_multiframe_frames') }}
    where frame = 1 and geometry_source = 'functional_groups'
),

-- Classes whose IOD knows of no frames; of others nobody can tell.
single_frame_classes as (
    select
        sop_class_uid,
        name
    from {{ source('standard', 'sop_classes') }}
    where iod not in (
        select attributes.iod from {{ ref('int_iod_attributes') }} as attributes
        where attributes.path = 'NumberOfFrames'
    )
),

described as (
    select
        series_images.source,
        series_images.series_key,
        series_images.path,
        images.NumberOfFrames,
        items.items,
        case
            when greatest(images.NumberOfFrames, items.items) > 1 then single_frame_classes.name
        end as single_frame_class,
        images.SOPClassUID is not null
        and (images.NumberOfFrames is not null or items.items is not null) as names_frames
    from series_images
    inner join images on series_images.file_id = images.file_id
    left join items on series_images.file_id = items.file_id
    left join single_frame_classes on images.SOPClassUID = single_frame_classes.sop_class_uid
),

counted as (
    select
        source,
        series_key,
        bool_or(items is not null and NumberOfFrames is not null) as has_both,
        bool_or(names_frames) as has_frames,
        list_sort(list(path) filter (items <> NumberOfFrames)) as files_miscounted,
        arg_min(NumberOfFrames, path) filter (items <> NumberOfFrames) as frames_named,
        arg_min(items, path) filter (items <> NumberOfFrames) as items_found,
        list_sort(list(path) filter (single_frame_class is not null)) as files_of_frames,
        arg_min(greatest(NumberOfFrames, items), path) filter (single_frame_class is not null)
            as frames_found,
        arg_min(single_frame_class, path) as class_found
    from described
    group by source, series_key
)

{% call verdicts() %}
select
    source,
    series_key,
    'frame_count_mismatch' as rule,
    files_miscounted as files,
    'NumberOfFrames is ' || frames_named || ', the per-frame functional groups have '
    || {{ count_of('items_found', 'item') }}
    || {{ and_more('len(files_miscounted)', 'file') }} as message
from counted
where has_both

union all by name

select
    source,
    series_key,
    'multiframe_in_single_frame_class' as rule,
    files_of_frames as files,
    frames_found || ' frames in an object of a class for one: ' || class_found
    || {{ and_more('len(files_of_frames)', 'file') }} as message
from counted
where has_frames
{% endcall %}
