with

images as (
    select * from {{ ref('stg_images') }}
),

findings as (
    select
        source,
        patient_key,
        severity
    from {{ ref('findings') }}
    where patient_key is not null
),

worst as (
    select
        source,
        patient_key,
        {{ worst_severity() }} as worst_finding,
        count(*) as findings
    from findings
    group by source, patient_key
),

counted as (
    select
        source,
        patient_key,
        {{ distinct_values('PatientID') }} as patient_ids,
        {{ distinct_values('PatientName') }} as names,
        {{ distinct_values('PatientSex') }} as sexes,
        {{ distinct_values('PatientBirthDate') }} as birth_dates,
        {{ distinct_values('Modality') }} as modalities,
        min(StudyDate) as study_date_min,
        max(StudyDate) as study_date_max,
        min(folder) as folder,
        count(distinct folder) as folders,
        count(distinct study_key) as studies,
        count(distinct series_key) as series,
        count(*) as images,
        count(distinct SOPInstanceUID) as instances,
        sum(size_bytes)::bigint as size_bytes
    from images
    group by source, patient_key
)

select
    counted.source,
    counted.patient_key,
    counted.patient_ids,
    counted.names,
    counted.sexes,
    counted.birth_dates,
    counted.modalities,
    counted.study_date_min,
    counted.study_date_max,
    counted.folder,
    counted.folders,
    counted.studies,
    counted.series,
    counted.images,
    counted.instances,
    counted.size_bytes,
    worst.worst_finding,
    coalesce(worst.findings, 0) as findings
from counted
left join worst
    on counted.source = worst.source and counted.patient_key = worst.patient_key
