-- What headers say of pixels that may identify. Whether they do, only who looks at them knows.
with

images as (
    select
        source,
        series_key,
        path,
        SOPClassUID,
        Modality,
        upper(replace(trim(BodyPartExamined), ' ', '')) as body_part,
        upper(trim(BurnedInAnnotation)) as burned_in,
        upper(trim(RecognizableVisualFeatures)) as recognizable
    from {{ ref('images') }}
    where Rows is not null
),

kinds as (
    select * from {{ ref('identifying_pixels') }}
),

thin as (
    select distinct
        source,
        series_key
    from {{ ref('series_geometry') }}
    where
        positions >= {{ tolerance('pixels_may_identify.slices', 0) }}
        and spacing_median <= {{ tolerance('pixels_may_identify') }}
),

reasons as (
    select
        images.source,
        images.series_key,
        images.path,
        case
            when images.burned_in = 'YES' then 'BurnedInAnnotation is YES'
            when images.recognizable = 'YES' then 'RecognizableVisualFeatures is YES'
            when images.burned_in is null or images.burned_in <> 'NO' then classes.reason
        end as of_image,
        case
            when
                images.Modality in ('CT', 'MR')
                and thin.series_key is not null
                and (images.recognizable is null or images.recognizable <> 'NO')
                then parts.reason || ' from thin slices of ' || images.body_part
        end as of_stack
    from images
    left join kinds as classes
        on classes.attribute = 'SOPClassUID' and images.SOPClassUID = classes.value
    left join kinds as parts
        on parts.attribute = 'BodyPartExamined' and images.body_part = parts.value
    left join thin using (source, series_key)
),

series as (
    select
        source,
        series_key,
        count(*) filter (coalesce(of_image, of_stack) is not null) as images,
        min(path, 20) filter (coalesce(of_image, of_stack) is not null) as paths,
        list_sort(list(distinct coalesce(of_image, of_stack))) as found
    from reasons
    group by source, series_key
)

{% call verdicts() %}
select
    source,
    series_key,
    'pixels_may_identify' as rule,
    images as n_offenders,
    paths as files,
    {{ count_of('images', 'image') }} || ': ' || array_to_string(found[1:5], '; ') as message
from series
{% endcall %}
