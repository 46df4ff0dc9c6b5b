-- What each source holds: files by status, patients, studies, series, images, findings.
-- param source: this source alone
with

files as (
    select
        source,
        count(*) as files,
        count(*) filter (status <> 'ok') as files_not_ok,
        sum(size_bytes) as size_bytes
    from main.files
    where source = coalesce(getvariable('source'), source)
    group by source
),

patients as (
    select
        source,
        count(*) as patients
    from main.patients
    group by source
),

studies as (
    select
        source,
        count(*) as studies
    from main.studies
    group by source
),

series as (
    select
        source,
        count(*) as series,
        sum(images) as images
    from main.series
    group by source
),

findings as (
    select
        source,
        count(*) filter (severity = 'E') as errors,
        count(*) filter (severity = 'W') as warnings,
        count(*) filter (severity = 'I') as informations
    from main.findings
    where not is_waived
    group by source
)

select
    files.source,
    files.files,
    files.files_not_ok,
    coalesce(patients.patients, 0) as patients,
    coalesce(studies.studies, 0) as studies,
    coalesce(series.series, 0) as series,
    coalesce(series.images, 0)::bigint as images,
    case
        when files.size_bytes < 2::hugeint ** 63 then format_bytes(files.size_bytes::bigint)
        else '8.0 EiB or more'
    end as size,
    coalesce(findings.errors, 0) as errors,
    coalesce(findings.warnings, 0) as warnings,
    coalesce(findings.informations, 0) as informations
from files
left join patients on files.source = patients.source
left join studies on files.source = studies.source
left join series on files.source = series.source
left join findings on files.source = findings.source
order by files.source
