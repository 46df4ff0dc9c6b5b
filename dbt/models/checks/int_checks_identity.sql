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

-- One file of each parent tells where to look.
parents as (
    {% for parents, key in {'studies': 'study_key', 'folders': 'folder'}.items() %}
    {{ "union all" if not loop.first }}
    select
        source,
        series_key,
        '{{ parents }}' as parents,
        {{ key }} as parent,
        min(path) as path
    from images
    group by source, series_key, {{ key }}
    {% endfor %}
),

series as (
    select
        source,
        series_key,
        parents,
        count(parent) as number,
        min(path, 20) as paths
    from parents
    group by source, series_key, parents
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
    source,
    series_key,
    'series_in_multiple_' || parents as rule,
    number > 1 as is_failed,
    number as n_offenders,
    paths as files,
    'One series in ' || number || ' ' || parents as message
from series

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
