-- Patients, studies, series and images below each other, one row a series, or for each patient and
-- study that one has; uid_counts sums it up.
-- param source: this source alone
with

lineages as (
    select distinct
        source,
        patient_key,
        study_key,
        series_key
    from intermediate.int_lineages
)

select
    series.source,
    patients.patient_key,
    patients.studies as studies_of_patient,
    patients.series as series_of_patient,
    studies.study_key,
    studies.series as series_of_study,
    series.series_key,
    array_to_string(series.modalities, ', ') as modalities,
    array_to_string(series.descriptions, ', ') as descriptions,
    array_to_string(series.frame_of_reference_uids, ', ') as frame_of_reference_uids,
    series.folder,
    series.images,
    series.instances,
    series.worst_finding
from series
inner join lineages using (source, series_key)
inner join patients
    on series.source = patients.source and lineages.patient_key = patients.patient_key
inner join studies
    on series.source = studies.source and lineages.study_key = studies.study_key
where series.source = coalesce(getvariable('source'), series.source)
order by series.source, patients.patient_key, studies.study_key, series.series_key
