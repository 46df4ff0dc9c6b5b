{% set children = {'patients': 'patient_key', 'studies': 'study_key', 'series': 'series_key'} %}

with

rules as (
    select * from {{ ref('int_check_rules') }}
),

images as (
    select
        source,
        patient_key,
        study_key,
        series_key,
        patient_folder,
        SOPInstanceUID,
        path
    from {{ ref('stg_images') }}
),

series as (
    select
        source,
        series_key,
        case when count(distinct patient_key) = 1 then min(patient_key) end as patient_key,
        case when count(distinct study_key) = 1 then min(study_key) end as study_key
    from images
    group by source, series_key
),

files as (
    select
        source,
        'file_' || status as rule,
        path as subject,
        null::varchar as patient_key,
        null::varchar as study_key,
        null::varchar as series_key,
        null::double as measured,
        1 as n_offenders,
        [path] as offenders,
        coalesce(reason, status) as message
    from {{ ref('stg_files') }}
    where status <> 'ok'
),

folder_files as (
    {% for child, key in children.items() %}
    {% if not loop.first %}union all{% endif %}
    select
        source,
        patient_folder,
        'folder_multiple_{{ child }}' as rule,
        min(path) as path
    from images
    where patient_folder <> ''
    group by source, patient_folder, {{ key }}
    {% endfor %}
),

folders as (
    select
        source,
        rule,
        patient_folder as subject,
        null as patient_key,
        null as study_key,
        null as series_key,
        count(*) as measured,
        count(*) as n_offenders,
        min(path, 20) as offenders,
        count(*) || ' ' || replace(rule, 'folder_multiple_', '') || ' in one patient folder'
            as message
    from folder_files
    group by source, patient_folder, rule
    having count(*) > 1
),

studies as (
    select
        source,
        'study_in_multiple_patients' as rule,
        study_key as subject,
        null as patient_key,
        study_key,
        null as series_key,
        count(distinct patient_key) as measured,
        count(*) as n_offenders,
        min(path, 20) as offenders,
        'One study under ' || count(distinct patient_key) || ' patients' as message
    from images
    group by source, study_key
    having count(distinct patient_key) > 1
),

instances as (
    select
        source,
        'instance_in_multiple_series' as rule,
        SOPInstanceUID as subject,
        case when count(distinct patient_key) = 1 then min(patient_key) end as patient_key,
        case when count(distinct study_key) = 1 then min(study_key) end as study_key,
        null as series_key,
        count(distinct series_key) as measured,
        count(*) as n_offenders,
        min(path, 20) as offenders,
        'One instance in ' || count(distinct series_key) || ' series' as message
    from images
    where SOPInstanceUID is not null
    group by source, SOPInstanceUID
    having count(distinct series_key) > 1
),

failed as (
    select * from files
    union all
    select * from folders
    union all
    select * from studies
    union all
    select * from instances
)

select
    failed.source,
    rules.level,
    failed.rule,
    rules.severity,
    failed.subject,
    failed.patient_key,
    failed.study_key,
    failed.series_key,
    failed.message,
    failed.measured,
    rules.tolerance,
    failed.n_offenders,
    failed.offenders
from failed
inner join rules on failed.rule = rules.rule

union all

select
    checks.source,
    'series' as level,
    checks.rule,
    checks.severity,
    checks.series_key as subject,
    series.patient_key,
    series.study_key,
    checks.series_key,
    checks.message,
    checks.measured,
    checks.tolerance,
    checks.n_offenders,
    checks.offenders
from {{ ref('series_checks') }} as checks
inner join series
    on checks.source = series.source and checks.series_key = series.series_key
where checks.status = 'fail'
