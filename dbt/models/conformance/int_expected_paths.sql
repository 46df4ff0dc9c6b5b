with

series_iods as not materialized (
    select * from {{ ref('int_series_iods') }}
),

attributes as not materialized (
    select * from {{ ref('int_iod_attributes') }}
),

found as not materialized (
    select * from {{ ref('int_series_paths') }}
),

-- What every image must or may have to have, and what every item of a sequence must have.
expected as (
    select
        series_iods.source,
        series_iods.series_key,
        series_iods.iod,
        attributes.path
    from series_iods
    inner join attributes on series_iods.iod = attributes.iod
    where
        attributes.parent_path is null
        and attributes.requirement in ('type1', 'type2', 'conditional')
        and not contains(attributes.tag, 'x')
    union all
    select
        found.source,
        found.series_key,
        found.iod,
        attributes.path
    from found
    inner join attributes
        on found.iod = attributes.iod and found.path = attributes.parent_path
    where found.images_with_items > 0 and attributes.requirement in ('type1', 'type2')
)

select
    *,
    path as standard_path
from expected
union distinct
select
    source,
    series_key,
    iod,
    path,
    standard_path
from found
