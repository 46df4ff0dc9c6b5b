select
    source,
    entity_key as series_key,
    rule,
    is_failed,
    severity,
    measured,
    n_offenders,
    offenders,
    message
from {{ ref('int_entity_findings') }}
where entity in ('series', 'equipment')
