{#- Long because every rule reads the same images and weighs by the same volumes. -#}
{#- The attributes that must be one value in a series, by the rule that says so. -#}
{%- set rule_attributes = {
    'mixed_matrix': ['Rows', 'Columns'],
    'mixed_pixel_format': [
        'SamplesPerPixel', 'PhotometricInterpretation', 'BitsAllocated', 'BitsStored', 'HighBit',
        'PixelRepresentation',
    ],
    'mixed_sop_class': ['SOPClassUID'],
    'mixed_modality': ['Modality'],
    'mixed_rescale': ['RescaleSlope', 'RescaleIntercept'],
    'mixed_kernel': ['ConvolutionKernel'],
    'mixed_kvp': ['KVP'],
    'mixed_slice_thickness': ['SliceThickness'],
    'mixed_image_type': ['ImageType'],
    'mixed_transfer_syntax': ['TransferSyntaxUID'],
} -%}
{#- Those that the frames of an enhanced object have one by one, in its functional groups. -#}
{%- set frame_attributes = {
    'mixed_rescale': ['RescaleSlope', 'RescaleIntercept'],
    'mixed_slice_thickness': ['SliceThickness'],
} -%}

with

images as (
    select
        -- Of text, 0 and -0 would be two values.
        images.* replace (images.RescaleIntercept + 0.0 as RescaleIntercept),
        series_images.is_volume_slice
    from {{ ref('images') }} as images
    inner join {{ ref('int_series_images') }} as series_images using (file_id)
    where not series_images.is_set_aside
),

frames as (
    select
        images.source,
        images.series_key,
        images.path,
        frames.PixelSpacing,
        frames.RescaleSlope,
        frames.RescaleIntercept + 0.0 as RescaleIntercept,
        frames.SliceThickness
    from {{ ref('int_multiframe_frames') }} as frames
    inner join images on frames.file_id = images.file_id
),

-- A rule weighs what it says only where a series ought to be a volume.
volumes as (
    select
        source,
        series_key,
        bool_or(is_volume_slice) as is_volume,
        bool_and(Modality = 'PT') as is_pt
    from images
    group by source, series_key
),

alike as (
    select
        source,
        series_key,
        {% for attribute in rule_attributes.values() | sum(start=[]) %}
        {{ attribute }},
        {% endfor %}
        count(*) as images
    from images
    group by all
),

frame_values as (
    select distinct * from (
        {{ by_attribute('frames', ['source', 'series_key', 'path'], frame_attributes) }}
    )
),

attribute_values as (
    {{ by_attribute('alike', ['source', 'series_key', 'images'], rule_attributes) }}
    union all
    select
        source,
        series_key,
        1 as images,
        rule,
        attribute,
        value
    from frame_values
),

counted as (
    select
        source,
        series_key,
        rule,
        attribute,
        value,
        sum(images)::bigint as images,
        row_number() over (
            partition by source, series_key, attribute order by sum(images) desc, value
        ) as rank
    from attribute_values
    where value is not null
    group by source, series_key, rule, attribute, value
),

attributes as (
    select
        source,
        series_key,
        rule,
        count(*) as distinct_values,
        attribute || ' ' || string_agg(value || ' (' || images || ')', ', ' order by rank)
        filter (rank <= 5) as found
    from counted
    group by source, series_key, rule, attribute
),

rules as (
    select
        source,
        series_key,
        rule,
        max(distinct_values) as distinct_values,
        string_agg(found, '; ' order by found) filter (distinct_values > 1) as found
    from attributes
    group by source, series_key, rule
),

-- Offenders are the images that have not the commonest value.
mixed_images as (
    select * from images
    where (source, series_key) in (
        select (counted.source, counted.series_key) from counted
        where counted.rank > 1
    )
),

image_values as (
    {{ by_attribute('mixed_images', ['source', 'series_key', 'path'], rule_attributes) }}
    union all
    select * from frame_values
),

offending as (
    select distinct
        image_values.source,
        image_values.series_key,
        image_values.rule,
        image_values.path
    from image_values
    inner join counted using (source, series_key, attribute, value)
    where counted.rank > 1
),

offenders as (
    select
        source,
        series_key,
        rule,
        count(*) as images,
        min(path, 20) as paths
    from offending
    group by source, series_key, rule
),

bits as (
    select
        source,
        series_key,
        path,
        BitsStored > BitsAllocated or HighBit <> BitsStored::hugeint - 1 as is_inconsistent
    from images
    where BitsAllocated is not null and BitsStored is not null and HighBit is not null
),

inconsistent_bits as (
    select
        source,
        series_key,
        count(*) filter (is_inconsistent) as images,
        min(path, 20) filter (is_inconsistent) as paths
    from bits
    group by source, series_key
),

spacings_of_images as (
    select
        source,
        series_key,
        path,
        PixelSpacing
    from images

    union all

    select
        source,
        series_key,
        path,
        PixelSpacing
    from frames
),

spaced as (
    select
        source,
        series_key,
        path,
        PixelSpacing[1] as row_spacing,
        PixelSpacing[2] as column_spacing
    from spacings_of_images
    where PixelSpacing[1] is not null and PixelSpacing[2] is not null
),

-- A spacing of nothing is none to compare with, and as far off as can be.
commonest_spacings as (
    select
        source,
        series_key,
        row_spacing,
        column_spacing
    from spaced
    where row_spacing > 0 and column_spacing > 0
    group by source, series_key, row_spacing, column_spacing
    qualify row_number() over (
        partition by source, series_key
        order by count(*) desc, row_spacing, column_spacing
    ) = 1
),

deviations as (
    select
        spaced.source,
        spaced.series_key,
        spaced.path,
        greatest(
            abs(spaced.row_spacing / commonest_spacings.row_spacing - 1),
            abs(spaced.column_spacing / commonest_spacings.column_spacing - 1)
        ) as deviation
    from spaced
    inner join commonest_spacings using (source, series_key)
),

spacings as (
    select
        source,
        series_key,
        max(deviation) as deviation,
        list_sort(
            list(distinct path) filter (deviation > {{ tolerance('mixed_pixel_spacing') }})
        ) as offenders
    from deviations
    group by source, series_key
),

checks as (
    {% call verdicts() %}
    select
        rules.source,
        rules.series_key,
        rules.rule,
        rules.distinct_values > 1 as is_failed,
        rules.distinct_values as measured,
        coalesce(offenders.images, 0) as n_offenders,
        offenders.paths as files,
        'Values differ within the series: ' || rules.found as message
    from rules
    left join offenders using (source, series_key, rule)

    union all by name

    select
        source,
        series_key,
        'bits_inconsistent' as rule,
        images as n_offenders,
        paths as files,
        {{ count_of('images', 'image') }}
        || ' with BitsStored above BitsAllocated, or HighBit not BitsStored - 1' as message
    from inconsistent_bits

    union all by name

    select
        source,
        series_key,
        'mixed_pixel_spacing' as rule,
        deviation as measured,
        offenders as files,
        {{ count_of('len(offenders)', 'image') }} || ' off the commonest pixel spacing, by up to '
        || round(100 * deviation, 3) || ' %' as message
    from spacings
    {% endcall %}
)

-- Slices of PT are scaled one by one.
select
    checks.* replace (
        case
            when not volumes.is_volume then 'I'
            when checks.rule = 'mixed_rescale' and volumes.is_pt then 'I'
        end as severity
    )
from checks
inner join volumes using (source, series_key)
