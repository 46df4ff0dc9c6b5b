with

attributes as (
    select * from {{ source('standard', 'modules') }}
    where module = 'file-meta-information'
),

elements as (
    select
        source,
        series_key,
        path,
        position,
        vm,
        problem_class,
        coalesce(problem, '') as problem
    from {{ ref('stg_elements') }}
    where tag between '00020000' and '0002FFFF' and patient_key is not null and depth = 0
),

-- Nothing stands before the file meta information: its first element is the file's.
series as (
    select
        source,
        series_key,
        count(*) as images
    from elements
    where position = 0
    group by source, series_key
),

held as (
    select
        source,
        series_key,
        path,
        count(*) as images,
        count(*) filter (vm = 0) as empty_images,
        count(*) filter (problem_class = 'value') as invalid_images
    from elements
    where not contains(problem, 'outside_meta') and not contains(problem, 'overridden')
    group by source, series_key, path
)

select
    series.source,
    series.series_key,
    attributes.path,
    attributes.module,
    attributes.attribute_type,
    series.images,
    coalesce(held.images, 0) as complete,
    coalesce(held.empty_images, 0) as empty,
    coalesce(held.invalid_images, 0) as invalid
from series
cross join attributes
left join held
    on
        series.source = held.source
        and series.series_key = held.series_key
        and attributes.path = held.path
where attributes.attribute_type = '1' or held.path is not null
