-- Series with what they are and hold.
select
    n.series_number,
    o.source_number,
    p.patient_number,
    s.images,
    s.positions,
    s.spacing_mm,
    s.slice_thickness_mm_min,
    s.slice_thickness_mm_max,
    s.missing_slices,
    s.stacks,
    s.rows_max,
    s.columns_max,
    s.is_volume,
    s.why_not,
    s.worst_finding,
    s.findings,
    s.size_bytes,
    if(getvariable('with_values') or kvps.has_values, s.KVP, null) as kvp,
    if(
        getvariable('with_values') or modalities.has_values,
        array_to_string(s.modalities, ', '),
        null
    ) as modality,
    if(getvariable('with_values'), array_to_string(s.descriptions, ' | '), null) as description,
    if(getvariable('with_values'), s.folder, null) as folder,
    if(getvariable('with_values'), s.SeriesInstanceUID, null) as uid,
    if(
        getvariable('with_values'), left(array_to_string(s.ConvolutionKernel, ', '), 40), null
    ) as kernel,
    if(
        getvariable('with_values'),
        left(concat_ws(' ', s.Manufacturer, s.ManufacturerModelName), 80),
        null
    ) as scanner,
    if(
        getvariable('with_values'),
        coalesce(s.series_date_min, s.StudyDate)::varchar,
        null
    ) as taken
from series as s
inner join report_series as n on s.source = n.source and s.series_key = n.series_key
inner join report_sources as o on s.source = o.source
left join report_patients as p on s.source = p.source and s.patient_key = p.patient_key
left join report_paths as modalities
    on s.source = modalities.source and modalities.path = 'Modality'
left join report_paths as kvps on s.source = kvps.source and kvps.path = 'KVP'
order by n.series_number
