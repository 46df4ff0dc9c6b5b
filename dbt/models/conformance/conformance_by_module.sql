with

conformance as (
    select * from {{ ref('conformance') }}
    where verdict in ('conforms', 'type1_missing', 'type1_empty', 'type2_missing')
),

manufacturers as (
    select
        source,
        series_key,
        string_agg(distinct Manufacturer, ' | ' order by Manufacturer) as Manufacturer
    from {{ ref('images') }}
    group by source, series_key
)

select
    conformance.source,
    conformance.module,
    manufacturers.Manufacturer,
    count(distinct conformance.series_key) as series,
    count(distinct conformance.path) as attributes,
    sum(conformance.images)::bigint as expected,
    sum(conformance.present)::bigint as present,
    sum(conformance.empty)::bigint as empty,
    sum(conformance.absent)::bigint as absent,
    sum(conformance.invalid)::bigint as invalid,
    100.0 * sum(conformance.absent) / sum(conformance.images) as percent_absent,
    count(distinct conformance.series_key) filter (conformance.verdict <> 'conforms')
        as series_failing
from conformance
inner join manufacturers
    on
        conformance.source = manufacturers.source
        and conformance.series_key = manufacturers.series_key
group by conformance.source, conformance.module, manufacturers.Manufacturer
