with

images as not materialized (
    select * from {{ ref('images') }}
),

geometry as not materialized (
    select * from {{ ref('series_geometry') }}
),

uids as not materialized (
    select * from {{ ref('uids') }}
),

worst as (
    {{ worst_findings('series_key') }}
),

worst_of_themes as (
    select
        source,
        series_key,
        {{ worst_severity("case when theme = 'geometry' then severity end") }}
            as worst_geometry_finding,
        {{ worst_severity("case when theme = 'conformance' then severity end") }}
            as worst_conformance_finding
    from {{ ref('findings') }}
    where series_key is not null and is_waived is not true
    group by source, series_key
),

-- What keeps the images of a series from being one stack, beside the stack itself.
failed as (
    select
        source,
        series_key,
        string_agg('fails ' || rule, '; ' order by rule) as rules
    from {{ ref('series_checks') }}
    where
        status = 'fail'
        and (
            rule in (
                'missing_position', 'missing_orientation', 'localizer_embedded',
                'duplicate_instance_identical', 'duplicate_instance_conflict',
                'frame_count_mismatch'
            )
            or (rule = 'non_volume_image' and severity <> 'I')
            or (
                rule in (
                    'orientation_not_orthonormal', 'impossible_value', 'frame_offsets_invalid'
                )
                and severity = 'E'
            )
        )
    group by source, series_key
),

measured as (
    select
        source,
        series_key,
        count(*) as stacks,
        case when count(*) = 1 then min(why_not) else count(*) || ' stacks' end as reasons,
        sum(positions)::bigint as positions,
        case when count(*) = 1 then min(spacing_median) end as spacing_mm,
        sum(missing_slices)::bigint as missing_slices
    from geometry
    group by source, series_key
),

commonest as (
    {{ commonest_values('series_key', [
        'study_key', 'patient_key', 'StudyInstanceUID', 'PatientID', 'PatientSex',
        'PatientAge', 'age_years', 'StudyDate', 'StudyDescription', 'Modality',
        'SeriesNumber', 'SeriesDescription', 'SeriesDate', 'BodyPartExamined', 'Laterality',
        'PatientPosition', 'ProtocolName', 'FrameOfReferenceUID', 'Manufacturer',
        'ManufacturerModelName', 'SOPClassUID', 'TransferSyntaxUID',
        'PhotometricInterpretation', 'PixelRepresentation', 'Rows', 'Columns',
        'PixelSpacing', 'SliceThickness', 'KVP', 'ConvolutionKernel',
        'MagneticFieldStrength',
    ]) }}
),

counted as (
    select
        source,
        series_key,
        min(SeriesInstanceUID) as SeriesInstanceUID,
        {{ distinct_values('study_key') }} as study_keys,
        {{ distinct_values('patient_key') }} as patient_keys,
        {{ distinct_values('Modality') }} as modalities,
        {{ distinct_values('SeriesDescription') }} as descriptions,
        {{ distinct_values('SeriesNumber') }} as series_numbers,
        {{ distinct_values('FrameOfReferenceUID') }} as frame_of_reference_uids,
        {{ distinct_values('ConvolutionKernel') }} as kernels,
        {{ distinct_values('SOPClassUID') }} as sop_class_uids,
        {{ distinct_values('TransferSyntaxUID') }} as transfer_syntax_uids,
        min(SeriesDate) as series_date_min,
        max(SeriesDate) as series_date_max,
        {{ image_counts() }},
        min(Rows) as rows_min,
        max(Rows) as rows_max,
        min(Columns) as columns_min,
        max(Columns) as columns_max,
        min(SliceThickness) as slice_thickness_mm_min,
        max(SliceThickness) as slice_thickness_mm_max
    from images
    group by source, series_key
)

select
    counted.source,
    counted.series_key,
    counted.SeriesInstanceUID,
    commonest.* exclude (source, series_key),
    sop_classes.name as sop_class_name,
    transfer_syntaxes.name as transfer_syntax_name,
    counted.* exclude (source, series_key, SeriesInstanceUID),
    coalesce(measured.stacks, 0) as stacks,
    measured.positions,
    measured.spacing_mm,
    measured.missing_slices,
    case
        when measured.stacks is null
            then concat_ws('; ', 'no image has position and orientation', failed.rules)
        else nullif(concat_ws('; ', measured.reasons, failed.rules), '')
    end as why_not,
    why_not is null as is_volume,
    worst.worst_finding,
    worst_of_themes.worst_geometry_finding,
    worst_of_themes.worst_conformance_finding,
    coalesce(worst.findings, 0) as findings
from counted
inner join commonest using (source, series_key)
left join measured using (source, series_key)
left join worst using (source, series_key)
left join worst_of_themes using (source, series_key)
left join failed using (source, series_key)
left join uids as sop_classes on commonest.SOPClassUID = sop_classes.uid
left join uids as transfer_syntaxes on commonest.TransferSyntaxUID = transfer_syntaxes.uid
