-- Patients, studies, series and images below each other, one row a series.
select
    series.source,
    patient.patient_key,
    study.study_key,
    series.series_key,
    array_to_string(series.modalities, ', ') as modalities,
    array_to_string(series.descriptions, ', ') as descriptions,
    array_to_string(series.frame_of_reference_uids, ', ') as frame_of_reference_uids,
    series.folder,
    series.images,
    series.instances,
    series.worst_finding
from series
cross join unnest(series.patient_keys) as patient (patient_key)
cross join unnest(series.study_keys) as study (study_key)
order by series.source, patient.patient_key, study.study_key, series.series_key
