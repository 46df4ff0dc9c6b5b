with

images as not materialized (
    select * from {{ ref('images') }}
),

parents as (
    select
        source,
        study_key,
        {{ only_value('patient_key') }} as patient_key
    from images
    group by source, study_key
),

attributes as not materialized (
    select * from {{ ref('int_entity_findings') }}
    where entity = 'study' and is_failed
)

select
    source,
    'study_in_multiple_patients' as rule,
    study_key as subject,
    null::varchar as patient_key,
    study_key,
    null::varchar as series_key,
    null::varchar as severity,
    count(distinct patient_key)::double as measured,
    count(*) as n_offenders,
    min(path, 20) as offenders,
    'One study under ' || count(distinct patient_key) || ' patients' as message
from images
group by source, study_key
having count(distinct patient_key) > 1

union all

select
    attributes.source,
    attributes.rule,
    attributes.entity_key as subject,
    parents.patient_key,
    attributes.entity_key as study_key,
    null as series_key,
    attributes.severity,
    attributes.measured,
    attributes.n_offenders,
    attributes.offenders,
    attributes.message
from attributes
inner join parents
    on attributes.source = parents.source and attributes.entity_key = parents.study_key
