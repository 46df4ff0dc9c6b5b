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
    select * from {{ ref('int_findings_dicomdirs') }}
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
),

findings as (
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
),

-- A file is its instance, which stays the same where the file is renamed.
identified as (
    select
        findings.*,
        coalesce(files.SOPInstanceUID, findings.subject) as identity,
        row_number() over (
            partition by findings.source, findings.rule, identity
            order by findings.subject
        ) as copy
    from findings
    left join {{ ref('files') }} as files
        on
            findings.level = 'file'
            and findings.source = files.source
            and findings.subject = files.path
)

select
    left(
        sha256(to_json([this_run.salt, source, rule, level, identity, copy::varchar])::varchar), 16
    ) as finding_key,
    identified.* exclude (identity, copy)
from identified
cross join {{ source('history', 'this_run') }} as this_run
