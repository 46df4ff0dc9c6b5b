with

rules as not materialized (
    select * from {{ ref('int_check_rules') }}
),

images as not materialized (
    select
        source,
        patient_key,
        study_key,
        series_key
    from {{ ref('images') }}
),

series as (
    select
        source,
        series_key,
        {{ only_value('patient_key') }} as patient_key,
        {{ only_value('study_key') }} as study_key
    from images
    group by source, series_key
),

failed as (
    select * from {{ ref('int_findings_files') }}
    union all
    select * from {{ ref('int_findings_elements') }}
    union all
    select * from {{ ref('int_findings_folders') }}
    union all
    select * from {{ ref('int_findings_images') }}
    union all
    select * from {{ ref('int_findings_studies') }}
    union all
    select * from {{ ref('int_findings_patients') }}
    union all
    select * from {{ ref('int_findings_uids') }}
)

select
    failed.source,
    rules.level,
    rules.theme,
    failed.rule,
    coalesce(failed.severity, rules.severity) as severity,
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
    rules.theme,
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
inner join rules on checks.rule = rules.rule
inner join series using (source, series_key)
where checks.status = 'fail'
