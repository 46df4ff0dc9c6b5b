select
    source,
    rule,
    entity_key as subject,
    entity_key as patient_key,
    null::varchar as study_key,
    null::varchar as series_key,
    severity,
    measured,
    n_offenders,
    offenders,
    message
from {{ ref('int_entity_findings') }}
where entity = 'patient' and is_failed
