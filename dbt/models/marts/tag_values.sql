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
    from {{ ref('stg_images') }}
    group by source
),

-- Picked before they are ranked: of a path with a value an image few remain.
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
    from path_values
    group by source, path
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

totals as (
    select
        source,
        path,
        count(*) as path_values,
        sum(images)::bigint as path_images
    from path_values
    group by source, path
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
inner join source_images
    on ranked.source = source_images.source
inner join totals
    on ranked.source = totals.source and ranked.path = totals.path
inner join kept
    on ranked.source = kept.source and ranked.path = kept.path
