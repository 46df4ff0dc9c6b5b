with

images as not materialized (
    select
        source,
        series_key,
        study_key,
        SOPClassUID,
        folder,
        file_id,
        path
    from {{ ref('images') }}
),

series_images as not materialized (
    select * from {{ ref('int_series_images') }}
),

repeated as not materialized (
    select * from {{ ref('int_repeated_instances') }}
),

series as (
    select
        source,
        series_key,
        count(distinct study_key) as studies,
        count(distinct folder) as folders,
        min(path, 20) as paths
    from images
    group by source, series_key
),

-- One file of each parent tells where to look.
study_files as (
    select
        source,
        series_key,
        min(path) as path
    from images
    group by source, series_key, study_key
),

study_offenders as (
    select
        source,
        series_key,
        min(path, 20) as paths
    from study_files
    group by source, series_key
),

folder_files as (
    select
        source,
        series_key,
        min(path) as path
    from images
    group by source, series_key, folder
),

folder_offenders as (
    select
        source,
        series_key,
        min(path, 20) as paths
    from folder_files
    group by source, series_key
),

copies as (
    select
        source,
        series_key,
        count(*) filter (is_copy) as copies,
        min(path, 20) filter (is_copy) as paths
    from repeated
    group by source, series_key
),

-- What was not read tells nothing: neither that files differ nor that they do not.
judged as (
    select
        *,
        max(content_but_unread) over in_instance > 1
        or coalesce(
            max(content) filter (not is_unread) over in_instance
            > min(content) filter (not is_unread) over in_instance,
            false
        ) as is_conflict
    from repeated
    window in_instance as (partition by source, series_key, SOPInstanceUID)
),

conflicts as (
    select
        source,
        series_key,
        count(distinct SOPInstanceUID) as instances,
        count(*) as files,
        min(path, 20) as paths
    from judged
    where is_conflict and not is_copy
    group by source, series_key
),

unread as (
    select
        source,
        series_key,
        count(*) as files,
        min(path, 20) as paths
    from judged
    where is_unread
    group by source, series_key
),

image_classes as (
    select distinct sop_class_uid
    from {{ source('standard', 'iod_attributes') }}
    where
        (usage = 'M' and path = 'PixelData')
        -- An IOD that may hold float pixels has pixels of one kind or another.
        or path = 'FloatPixelData'
),

pixels as (
    select file_id from {{ ref('stg_elements') }}
    where
        depth = 0
        and not structural
        and path in ('PixelData', 'FloatPixelData', 'DoubleFloatPixelData', 'PixelDataProviderURL')
),

-- Of the objects whose IOD has pixels in every case.
pixelless as (
    select
        images.source,
        images.series_key,
        count(*) as images,
        count(*) filter (pixels.file_id is null) as lacking,
        min(images.path, 20) filter (pixels.file_id is null) as paths
    from images
    inner join image_classes on images.SOPClassUID = image_classes.sop_class_uid
    left join pixels on images.file_id = pixels.file_id
    group by images.source, images.series_key
),

non_volume as (
    select
        source,
        series_key,
        bool_or(series_has_slices) as has_slices,
        count(*) filter (is_non_volume) as images,
        min(path, 20) filter (is_non_volume) as paths
    from series_images
    group by source, series_key
)

{% call verdicts() %}
select
    series.source,
    series.series_key,
    'series_in_multiple_studies' as rule,
    series.studies > 1 as is_failed,
    series.studies as n_offenders,
    study_offenders.paths as files,
    'One series in ' || series.studies || ' studies' as message
from series
inner join study_offenders using (source, series_key)

union all by name

select
    series.source,
    series.series_key,
    'series_in_multiple_folders' as rule,
    series.folders > 1 as is_failed,
    series.folders as n_offenders,
    folder_offenders.paths as files,
    'One series in ' || series.folders || ' folders' as message
from series
inner join folder_offenders using (source, series_key)

union all by name

select
    series.source,
    series.series_key,
    'duplicate_instance_identical' as rule,
    copies.copies as n_offenders,
    copies.paths as files,
    {{ count_of('copies.copies', 'file') }}
    || ' set aside: an instance again, with equal elements and pixels' as message
from series
left join copies using (source, series_key)

union all by name

select
    series.source,
    series.series_key,
    'duplicate_instance_conflict' as rule,
    coalesce(conflicts.instances, 0) as measured,
    conflicts.files as n_offenders,
    conflicts.paths as files,
    {{ count_of('conflicts.instances', 'SOPInstanceUID') }} || ' for ' || conflicts.files
    || ' files that differ in elements, pixels, size or transfer syntax' as message
from series
left join conflicts using (source, series_key)

union all by name

select
    series.source,
    series.series_key,
    'duplicate_instance_not_compared' as rule,
    unread.files as n_offenders,
    unread.paths as files,
    {{ count_of('unread.files', 'file') }}
    || ' of instances that stand more than once: '
    || 'pixels or long values were not read, so whether they are equal is not known' as message
from series
left join unread using (source, series_key)

union all by name

select
    source,
    series_key,
    'non_volume_image' as rule,
    case when has_slices then 'W' end as severity,
    images as n_offenders,
    paths as files,
    {{ count_of('images', 'image') }}
    || ': secondary capture, or without position, orientation and spacing' as message
from non_volume

union all by name

select
    source,
    series_key,
    'pixel_data_missing' as rule,
    lacking as n_offenders,
    paths as files,
    lacking || ' of ' || {{ count_of('images', 'image') }} || ' without pixel data' as message
from pixelless
{% endcall %}
