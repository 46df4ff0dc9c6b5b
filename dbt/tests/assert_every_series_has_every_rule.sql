with

expected as (
    select
        series.source,
        series.series_key,
        rules.rule
    from {{ ref('series') }} as series
    cross join {{ ref('check_rules') }} as rules
    where rules.level = 'series'
)

select * from expected
except
select
    source,
    series_key,
    rule
from {{ ref('series_checks') }}
