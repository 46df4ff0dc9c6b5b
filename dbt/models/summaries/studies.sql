with

images as not materialized (
    select * from {{ ref('images') }}
),

worst as (
    {{ worst_findings('study_key') }}
),

commonest as (
    {{ commonest_values('study_key', [
        'patient_key', 'PatientID', 'PatientSex', 'PatientAge', 'age_years', 'StudyDate',
        'StudyTime', 'StudyID', 'StudyDescription', 'AccessionNumber', 'Modality',
        'BodyPartExamined', 'Manufacturer', 'ManufacturerModelName', 'InstitutionName',
    ]) }}
),

counted as (
    select
        source,
        study_key,
        {{ distinct_values('patient_key') }} as patient_keys,
        min(StudyInstanceUID) as StudyInstanceUID,
        {{ distinct_values('StudyID') }} as study_ids,
        {{ distinct_values('StudyDescription') }} as descriptions,
        {{ distinct_values('AccessionNumber') }} as accession_numbers,
        {{ distinct_values('Modality') }} as modalities,
        min(StudyDate) as study_date_min,
        max(StudyDate) as study_date_max,
        count(distinct series_key) as series,
        {{ image_counts() }}
    from images
    group by source, study_key
)

select
    counted.source,
    counted.study_key,
    counted.patient_keys,
    counted.StudyInstanceUID,
    commonest.* exclude (source, study_key),
    counted.study_ids,
    counted.descriptions,
    counted.accession_numbers,
    counted.modalities,
    counted.study_date_min,
    counted.study_date_max,
    counted.folder,
    counted.folders,
    counted.series,
    counted.images,
    counted.instances,
    counted.size_bytes,
    worst.worst_finding,
    coalesce(worst.findings, 0) as findings
from counted
inner join commonest using (source, study_key)
left join worst using (source, study_key)
