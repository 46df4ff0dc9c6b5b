-- Values that no image can have, and some that hardly an image has.
{%- set row = 'frames.ImageOrientationPatient[1:3]' -%}
{%- set column = 'frames.ImageOrientationPatient[4:6]' -%}
{%- set impossible_values = {
    'PixelSpacing not above 0': 'list_min(frames.PixelSpacing) <= 0',
    'RescaleSlope 0': 'frames.RescaleSlope = 0',
    'Rows 0': 'frames.Rows = 0',
    'Columns 0': 'frames.Columns = 0',
    'direction of length 0': is_complete('frames.ImageOrientationPatient', 6)
        ~ ' and least(list_dot_product(' ~ row ~ ', ' ~ row ~ '), list_dot_product(' ~ column ~ ', '
        ~ column ~ ')) = 0',
    'SliceThickness not above 0': 'frames.SliceThickness <= 0',
} %}

with

images as not materialized (
    select
        file_id,
        SOPClassUID,
        NumberOfFrames,
        BitsStored,
        PixelRepresentation
    from {{ ref('images') }}
),

series_images as not materialized (
    select * from {{ ref('int_series_images') }}
),

frames as not materialized (
    select * from {{ ref('frames') }}
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
        series_images.file_id,
        series_images.path,
        images.NumberOfFrames,
        items.items,
        case
            when greatest(images.NumberOfFrames, items.items) > 1 then single_frame_classes.name
        end as single_frame_class,
        images.SOPClassUID is not null
        and (images.NumberOfFrames is not null or items.items is not null) as names_frames,
        coalesce(
            series_images.Modality = 'CT'
            and images.BitsStored = 12
            and images.PixelRepresentation = 0
            and not series_images.is_non_volume,
            false
        ) as is_unsigned_ct
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
),

intercepts as (
    select
        described.source,
        described.series_key,
        max(frames.RescaleIntercept) as intercept,
        list_sort(list(distinct described.path) filter (frames.RescaleIntercept > -100)) as files
    from described
    inner join frames on described.file_id = frames.file_id
    where described.is_unsigned_ct and frames.RescaleIntercept is not null
    group by described.source, described.series_key
),

-- What the pixels say of air: a series with values near -1000 is right, whatever its intercept.
least as (
    select
        source,
        series_key,
        min(minimum) as hounsfield
    from {{ ref('pixel_stats') }}
    group by source, series_key
),

valued as (
    select
        source,
        series_key
    from frames
    where
        coalesce(Rows, Columns, PixelSpacing[1], RescaleSlope, SliceThickness) is not null
        or ImageOrientationPatient is not null
    group by source, series_key
),

impossible as (
    select
        frames.source,
        frames.series_key,
        frames.path,
        unnest([
            {% for name, condition in impossible_values.items() %}
            {{ ", " if not loop.first }}case when {{ condition }} then '{{ name }}' end
            {% endfor %}
        ]) as found
    from frames
    where
        false
        {% for condition in impossible_values.values() %}
        or ({{ condition }})
        {% endfor %}
),

impossible_by_kind as (
    select
        source,
        series_key,
        found,
        list(distinct path) as files
    from impossible
    where found is not null
    group by source, series_key, found
),

impossible_by_series as (
    select
        source,
        series_key,
        list_sort(list_distinct(flatten(list(files)))) as files,
        bool_and(found like 'SliceThickness%') as is_thickness_alone,
        string_agg(found || ' in ' || {{ count_of('len(files)', 'file') }}, '; ' order by found)
            as found
    from impossible_by_kind
    group by source, series_key
)

{% call verdicts() %}
select
    valued.source,
    valued.series_key,
    'impossible_value' as rule,
    case when impossible.is_thickness_alone then 'W' end as severity,
    impossible.files,
    impossible.found as message
from valued
left join impossible_by_series as impossible using (source, series_key)

union all by name

select
    source,
    series_key,
    'suspicious_rescale' as rule,
    files,
    'RescaleIntercept ' || {{ plain_number('intercept') }}
    || ' in CT of 12 unsigned bits: air would not be near -1000'
    || coalesce(', and no pixel is below ' || {{ plain_number('least.hounsfield') }}, '')
        as message
from intercepts
left join least using (source, series_key)
where coalesce(least.hounsfield > {{ tolerance('suspicious_rescale') }}, true)

union all by name

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
