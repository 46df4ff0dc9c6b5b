{{ config(materialized='view') }}

with

uids as not materialized (
    select * from {{ ref('uids') }}
)

select
    source as collection_id,
    PatientID,
    SeriesInstanceUID,
    StudyInstanceUID,
    PatientAge,
    PatientSex,
    StudyDate::varchar as StudyDate,
    StudyDescription,
    BodyPartExamined,
    Modality,
    SOPClassUID,
    sop_class_name,
    array_to_string(transfer_syntax_uids, ',') as TransferSyntaxUID,
    (
        select string_agg(uids.name, ',' order by uids.name)
        from uids
        where list_contains(series.transfer_syntax_uids, uids.uid)
    ) as transfer_syntax_name,
    PhotometricInterpretation,
    PixelRepresentation::varchar as PixelRepresentation,
    Manufacturer,
    ManufacturerModelName,
    SeriesDate::varchar as SeriesDate,
    SeriesDescription,
    SeriesNumber::varchar as SeriesNumber,
    instances as instanceCount,
    size_bytes / 1e6 as series_size_MB
from {{ ref('series') }} as series
