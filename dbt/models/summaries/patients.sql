with

images as not materialized (
    select * from {{ ref('images') }}
),

worst as (
    {{ worst_findings('patient_key') }}
),

commonest as (
    {{ commonest_values('patient_key', [
        'PatientID', 'PatientName', 'PatientSex', 'PatientBirthDate',
    ]) }}
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
        count(distinct study_key) as studies,
        count(distinct series_key) as series,
        {{ image_counts() }}
    from images
    group by source, patient_key
)

select
    counted.source,
    counted.patient_key,
    commonest.* exclude (source, patient_key),
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
inner join commonest using (source, patient_key)
left join worst using (source, patient_key)
