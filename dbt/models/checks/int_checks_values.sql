{#- Long because each value that cannot be is listed, and what else says that it is one. -#}
-- Values that no image can have, and some that hardly an image has. A single row or column has no
-- distance to the next, which may be 0 then (PS3.3 10.7.1.3).
{%- set row = 'frames.ImageOrientationPatient[1:3]' -%}
{%- set column = 'frames.ImageOrientationPatient[4:6]' -%}
{%- set impossible_values = {
    'PixelSpacing not above 0': 'list_min(frames.PixelSpacing) < 0'
        ~ ' or (frames.PixelSpacing[1] = 0 and frames.Rows is distinct from 1)'
        ~ ' or (frames.PixelSpacing[2] = 0 and frames.Columns is distinct from 1)',
    'RescaleSlope 0': 'frames.RescaleSlope = 0',
    'Rows 0': 'frames.Rows = 0',
    'Columns 0': 'frames.Columns = 0',
    'direction of length 0': is_complete('frames.ImageOrientationPatient', 6)
        ~ ' and least(list_dot_product(' ~ row ~ ', ' ~ row ~ '), list_dot_product(' ~ column ~ ', '
        ~ column ~ ')) = 0',
    'SliceThickness not above 0': 'frames.SliceThickness <= 0',
} %}
{%- set impossible_of_images = {
    'NumberOfFrames not above 0': 'images.NumberOfFrames <= 0',
    'ImagerPixelSpacing not above 0': 'list_min(images.ImagerPixelSpacing) <= 0',
    'SamplesPerPixel 0': 'images.SamplesPerPixel = 0',
    'BitsAllocated 0': 'images.BitsAllocated = 0',
    'BitsStored 0': 'images.BitsStored = 0',
} %}

with

frames as not materialized (
    select * from {{ ref('frames') }}
),

images as not materialized (
    select * from {{ ref('images') }}
),

unsigned_ct as (
    select
        series_images.source,
        series_images.series_key,
        series_images.file_id,
        series_images.path
    from {{ ref('int_series_images') }} as series_images
    inner join images using (file_id)
    where
        series_images.Modality = 'CT'
        and images.BitsStored = 12
        and images.PixelRepresentation = 0
        and not series_images.is_non_volume
),

intercepts as (
    select
        unsigned_ct.source,
        unsigned_ct.series_key,
        max(frames.RescaleIntercept) as intercept,
        list_sort(list(distinct unsigned_ct.path) filter (frames.RescaleIntercept > -100)) as files
    from unsigned_ct
    inner join frames on unsigned_ct.file_id = frames.file_id
    where frames.RescaleIntercept is not null
    group by unsigned_ct.source, unsigned_ct.series_key
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
    union
    select
        source,
        series_key
    from images
    where
        coalesce(NumberOfFrames, ImagerPixelSpacing[1], SamplesPerPixel, BitsAllocated, BitsStored)
        is not null
    group by source, series_key
),

impossible as (
    {% for relation, values in [
        ('frames', impossible_values), ('images', impossible_of_images),
    ] %}
    {{ "union all" if not loop.first }}
    select
        {{ relation }}.source,
        {{ relation }}.series_key,
        {{ relation }}.path,
        unnest([
            {% for name, condition in values.items() %}
            {{ ", " if not loop.first }}case when {{ condition }} then '{{ name }}' end
            {% endfor %}
        ]) as found
    from {{ relation }}
    where
        false
        {% for condition in values.values() %}
        or ({{ condition }})
        {% endfor %}
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
{% endcall %}
