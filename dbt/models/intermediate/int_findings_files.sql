with

files as not materialized (
    select * from {{ ref('files') }}
),

images as not materialized (
    select * from {{ ref('images') }}
),

-- An invalid UID has a rule of its own.
invalid_elements as (
    select
        file_id,
        path,
        problem,
        case problem_class when 'value' then 'element_invalid' else 'element_form' end as rule,
        elements
    from {{ ref('int_element_problems') }}
    where problem <> 'uid_invalid'
),

invalid_files as (
    select
        file_id,
        rule,
        path,
        sum(elements) as elements
    from invalid_elements
    group by file_id, rule, path
),

problems as (
    select
        files.source,
        invalid_elements.rule,
        invalid_elements.path,
        string_agg(distinct invalid_elements.problem, ', ' order by invalid_elements.problem)
            as found
    from invalid_elements
    inner join files on invalid_elements.file_id = files.file_id
    group by files.source, invalid_elements.rule, invalid_elements.path
),

invalid_paths as (
    select
        files.source,
        invalid_files.rule,
        invalid_files.path,
        {{ only_value('images.patient_key') }} as patient_key,
        {{ only_value('images.study_key') }} as study_key,
        {{ only_value('images.series_key') }} as series_key,
        sum(invalid_files.elements)::double as elements,
        count(*) as files,
        min(files.path, 20) as offenders
    from invalid_files
    inner join files on invalid_files.file_id = files.file_id
    left join images on files.file_id = images.file_id
    group by files.source, invalid_files.rule, invalid_files.path
),

described as (
    select
        files.source,
        files.path as subject,
        files.path,
        images.patient_key,
        images.study_key,
        images.series_key,
        files.status,
        files.reason,
        images.pixel_bytes,
        images.expected_pixel_bytes,
        -- Of other transfer syntaxes nobody can tell whether they compress.
        images.TransferSyntaxUID is null or images.TransferSyntaxUID like '1.2.840.10008.1.2%'
            as is_standard_syntax,
        coalesce(images.MediaStorageSOPInstanceUID <> images.SOPInstanceUID, false)
            as has_other_instance,
        coalesce(images.MediaStorageSOPClassUID <> images.SOPClassUID, false) as has_other_class
    from files
    left join images on files.file_id = images.file_id
)

select
    source,
    'file_' || status as rule,
    subject,
    patient_key,
    study_key,
    series_key,
    null::varchar as severity,
    null::double as measured,
    1 as n_offenders,
    [path] as offenders,
    coalesce(reason, status) as message
from described
where status <> 'ok'

union all

select
    source,
    'pixel_length_mismatch' as rule,
    subject,
    patient_key,
    study_key,
    series_key,
    null as severity,
    pixel_bytes::double as measured,
    1 as n_offenders,
    [path] as offenders,
    'Pixel data of ' || pixel_bytes || ' bytes where Rows, Columns, frames and bits make '
    || expected_pixel_bytes as message
from described
where status = 'ok' and pixel_bytes < expected_pixel_bytes and is_standard_syntax

union all

select
    source,
    'meta_mismatch' as rule,
    subject,
    patient_key,
    study_key,
    series_key,
    null as severity,
    has_other_instance::int + has_other_class::int as measured,
    1 as n_offenders,
    [path] as offenders,
    'The file''s meta header names '
    || case
        when has_other_instance and has_other_class then 'another instance and another SOP class'
        when has_other_instance then 'another instance'
        else 'another SOP class'
    end || ' than its data set' as message
from described
where has_other_instance or has_other_class

union all

-- Counted by path, since one habit of a device is in all of its files.
select
    invalid_paths.source,
    invalid_paths.rule,
    invalid_paths.path as subject,
    invalid_paths.patient_key,
    invalid_paths.study_key,
    invalid_paths.series_key,
    null as severity,
    invalid_paths.elements as measured,
    invalid_paths.files as n_offenders,
    invalid_paths.offenders,
    invalid_paths.path || ' in ' || {{ count_of('invalid_paths.files', 'file') }} || ': '
    || problems.found as message
from invalid_paths
inner join problems
    on
        invalid_paths.source = problems.source
        and invalid_paths.rule = problems.rule
        and invalid_paths.path = problems.path
