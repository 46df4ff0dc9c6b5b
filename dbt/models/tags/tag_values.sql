{% set most = 1000 %}

with

path_values as (
    select * from {{ ref('int_source_path_values') }}
    where scope = '(all)' and not is_empty
),

source_images as (
    select
        source,
        count(*) as images
    from {{ ref('images') }}
    group by source
),

totals as (
    select
        source,
        path,
        count(*) as path_values,
        sum(images)::bigint as path_images
    from path_values
    group by source, path
),

crowded as (
    select path_values.*
    from path_values
    inner join totals using (source, path)
    where totals.path_values > {{ most }}
),

-- Picked before they are ranked: of a path with a value an image few remain. Only where there are
-- more, since room for so many is taken for every path at once.
commonest as (
    select
        source,
        path,
        unnest(
            min(
                struct_pack(
                    fewer := -images, value := value, value_key := value_key,
                    series := series, patients := patients
                ),
                {{ most }}
            )
        ) as picked
    from crowded
    group by source, path

    union all

    select
        path_values.source,
        path_values.path,
        struct_pack(
            fewer := -path_values.images, value := path_values.value,
            value_key := path_values.value_key, series := path_values.series,
            patients := path_values.patients
        ) as picked
    from path_values
    inner join totals using (source, path)
    where totals.path_values <= {{ most }}
),

ranked as (
    select
        source,
        path,
        picked['value'] as value,
        -picked['fewer'] as images,
        picked['series'] as series,
        picked['patients'] as patients,
        row_number() over (
            partition by source, path order by picked['fewer'], picked['value'], picked['value_key']
        ) as rank
    from commonest
),

kept as (
    select
        source,
        path,
        count(*) as path_values,
        sum(images)::bigint as path_images
    from ranked
    group by source, path
)

select
    ranked.source,
    ranked.path,
    ranked.rank,
    ranked.value,
    ranked.images,
    ranked.series,
    ranked.patients,
    ranked.images / source_images.images as share,
    totals.path_values - kept.path_values as cut_values,
    totals.path_images - kept.path_images as cut_images
from ranked
inner join source_images using (source)
inner join totals using (source, path)
inner join kept using (source, path)
