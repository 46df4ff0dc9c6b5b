-- Series with what they are and hold; ten thousand at the most. Of attributes with several values
-- in a series the commonest counts.
with

commonest as (
    select
        source,
        series_key,
        max_by(value, images) filter (where path = 'KVP') as kvp,
        max_by(value, images) filter (where path = 'ConvolutionKernel') as kernel,
        max_by(value, images) filter (where path = 'Manufacturer') as manufacturer,
        max_by(value, images) filter (where path = 'ManufacturerModelName') as model,
        min(value) filter (where path = 'AcquisitionDate') as acquisition_date,
        max_by(value, images) filter (where path = 'StudyDate') as study_date
    from intermediate.int_series_path_values
    where
        path in (
            'KVP', 'ConvolutionKernel', 'Manufacturer', 'ManufacturerModelName', 'AcquisitionDate',
            'StudyDate'
        )
        and not is_empty
    group by source, series_key
)

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
    try_cast(c.kvp as double) as kvp,
    array_to_string(s.modalities, ', ') as modality,
    if(getvariable('with_values'), array_to_string(s.descriptions, ' | '), null) as description,
    if(getvariable('with_values'), s.folder, null) as folder,
    if(getvariable('with_values'), s.SeriesInstanceUID, null) as uid,
    if(getvariable('with_values'), left(c.kernel, 40), null) as kernel,
    if(
        getvariable('with_values'), left(trim(concat_ws(' ', c.manufacturer, c.model)), 80), null
    ) as scanner,
    if(
        getvariable('with_values'),
        coalesce(s.series_date_min::varchar, c.acquisition_date, c.study_date),
        null
    ) as taken
from series as s
inner join report_series as n on s.source = n.source and s.series_key = n.series_key
inner join report_sources as o on s.source = o.source
left join report_patients as p on s.source = p.source and s.patient_keys[1] = p.patient_key
left join commonest as c on s.source = c.source and s.series_key = c.series_key
order by n.series_number
limit 10000
