-- Attributes that the mandatory modules require and images lack: type 1 and 2, by source and IOD.
-- param source: this source alone
select
    source,
    iod,
    path,
    module,
    attribute_type,
    verdict,
    count(*) as series,
    sum(images)::bigint as images,
    sum(absent)::bigint as absent,
    sum(empty)::bigint as empty,
    round(100.0 * (sum(absent) + sum(empty)) / sum(images), 1) as percent_missing
from conformance
where
    verdict in ('type1_missing', 'type1_empty', 'type2_missing')
    and source = coalesce(getvariable('source'), source)
group by source, iod, path, module, attribute_type, verdict
order by source, iod, attribute_type, percent_missing desc, path
