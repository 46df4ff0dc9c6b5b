-- Patients with what they hold.
select
    n.patient_number,
    o.source_number,
    p.studies,
    p.series,
    p.images,
    p.size_bytes,
    p.worst_finding,
    p.findings,
    if(
        getvariable('with_values') or modalities.has_values,
        array_to_string(p.modalities, ', '),
        null
    ) as modality,
    if(getvariable('with_values'), array_to_string(p.patient_ids, ' | '), null) as patient_id,
    if(getvariable('with_values'), array_to_string(p.names, ' | '), null) as name,
    if(getvariable('with_values'), p.folder, null) as folder,
    if(getvariable('with_values'), p.study_date_min::varchar, null) as study_date_min,
    if(getvariable('with_values'), p.study_date_max::varchar, null) as study_date_max
from patients as p
inner join report_patients as n on p.source = n.source and p.patient_key = n.patient_key
inner join report_sources as o on p.source = o.source
left join report_paths as modalities
    on p.source = modalities.source and modalities.path = 'Modality'
order by n.patient_number
