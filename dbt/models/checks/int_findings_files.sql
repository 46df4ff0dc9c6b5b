with

files as not materialized (
    select * from {{ ref('files') }}
),

images as not materialized (
    select * from {{ ref('images') }}
),

found as (
    select
        file_id,
        path,
        problem,
        elements
    from {{ ref('int_element_problems') }}
),

-- An element may have several problems, each with a rule of its own; few come together.
several as (
    select
        problem,
        unnest(string_split(problem, ' ')) as code
    from found
    group by problem
),

codes as (
    select
        several.problem,
        several.code,
        problem_codes.rule
    from several
    inner join {{ ref('problem_codes') }} as problem_codes
        on several.code = problem_codes.problem
),

-- Invalid UIDs are told of images, and what contradicts the meta header of its file.
rules as (
    select distinct
        problem,
        rule
    from codes
    where rule not in ('uid_invalid', 'meta_mismatch')
),

contradicted as (
    select
        found.file_id,
        bool_or(codes.code = 'outside_meta') as has_second_meta,
        bool_or(codes.code = 'encoding_differs') as has_other_encoding,
        bool_or(codes.code = 'encapsulation_differs') as has_other_pixels
    from found
    inner join codes on found.problem = codes.problem
    where codes.rule = 'meta_mismatch'
    group by found.file_id
),

invalid_files as (
    select
        found.file_id,
        rules.rule,
        found.path,
        sum(found.elements) as elements
    from found
    inner join rules on found.problem = rules.problem
    group by found.file_id, rules.rule, found.path
),

found_in_sources as (
    select distinct
        files.source,
        found.path,
        found.problem
    from found
    inner join files on found.file_id = files.file_id
),

problems as (
    select
        found_in_sources.source,
        codes.rule,
        found_in_sources.path,
        string_agg(distinct codes.code, ', ' order by codes.code) as found
    from found_in_sources
    inner join codes on found_in_sources.problem = codes.problem
    group by found_in_sources.source, codes.rule, found_in_sources.path
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

-- A number of frames beyond the bound of `frames` is a claim, or worth no row each.
listed as (
    select
        file_id,
        count(*) as frames
    from {{ ref('frames') }}
    where frames >= 65536
    group by file_id
),

-- An object of several frames that says not how many cannot be held to a length.
uncounted as (
    select distinct images.file_id
    from images
    inner join {{ ref('int_multiframe_frames') }} as frames on images.file_id = frames.file_id
    where images.NumberOfFrames is null and frames.frames > 1
),

described as (
    select
        files.source,
        files.file_id,
        files.path as subject,
        files.path,
        images.patient_key,
        images.study_key,
        images.series_key,
        files.status,
        files.reason,
        files.status = 'ok' or files.reason like 'pixel_data%' as is_whole_header,
        images.pixel_bytes,
        images.expected_pixel_bytes,
        lower(regexp_extract(files.image_name, '[^.]*$')) in ('dcm', 'dicom', 'ima')
        or upper(files.image_name) = 'DICOMDIR' as is_named_dicom,
        split_part(files.reason, ':', 1) not in ('unknown', 'zeros', 'no_elements')
            as is_known_kind,
        -- Of other transfer syntaxes nobody can tell whether they compress.
        images.TransferSyntaxUID is null or images.TransferSyntaxUID like '1.2.840.10008.1.2%'
            as is_standard_syntax,
        -- A UID that is cut is no other one.
        coalesce(
            is_whole_header and images.MediaStorageSOPInstanceUID <> images.SOPInstanceUID, false
        ) as has_other_instance,
        coalesce(
            is_whole_header and images.MediaStorageSOPClassUID <> images.SOPClassUID, false
        ) as has_other_class,
        coalesce(contradicted.has_second_meta, false) as has_second_meta,
        coalesce(contradicted.has_other_encoding, false) as has_other_encoding,
        coalesce(contradicted.has_other_pixels, false) as has_other_pixels,
        images.NumberOfFrames as frames_claimed,
        listed.frames as frames_listed
    from files
    left join images on files.file_id = images.file_id
    left join contradicted on files.file_id = contradicted.file_id
    left join listed on files.file_id = listed.file_id
),

contradictions as (
    select
        *,
        list_filter(
            [
                case when has_other_instance then 'it names another instance' end,
                case when has_other_class then 'it names another SOP class' end,
                case
                    when has_other_encoding
                        then 'its transfer syntax is not that of the data set''s bytes'
                end,
                case when has_other_pixels then 'its transfer syntax is not that of the pixels' end,
                case when has_second_meta then 'elements of group 0002 stand in the data set' end
            ],
            lambda x: x is not null
        ) as told
    from described
)

select
    source,
    case when reason like 'zeroed:%' then 'file_zeroed' else 'file_' || status end as rule,
    subject,
    patient_key,
    study_key,
    series_key,
    case when status = 'not_dicom' and is_known_kind and not is_named_dicom then 'I' end
        as severity,
    null::double as measured,
    1 as n_offenders,
    [path] as offenders,
    coalesce(reason, status) as message
from described
where status <> 'ok'

union all

select
    source,
    'file_trailing_bytes' as rule,
    subject,
    patient_key,
    study_key,
    series_key,
    null as severity,
    null as measured,
    1 as n_offenders,
    [path] as offenders,
    reason as message
from described
where status = 'ok' and reason is not null

union all

select
    source,
    'pixel_length_mismatch' as rule,
    subject,
    patient_key,
    study_key,
    series_key,
    case when pixel_bytes > expected_pixel_bytes then 'W' end as severity,
    pixel_bytes::double as measured,
    1 as n_offenders,
    [path] as offenders,
    'Pixel data of ' || pixel_bytes || ' bytes where Rows, Columns, frames and bits make '
    || expected_pixel_bytes as message
from described
where
    status = 'ok'
    and is_standard_syntax
    and file_id not in (select uncounted.file_id from uncounted)
    and not pixel_bytes between expected_pixel_bytes and expected_pixel_bytes + 1

union all

select
    source,
    'frames_not_listed' as rule,
    subject,
    patient_key,
    study_key,
    series_key,
    null as severity,
    frames_claimed as measured,
    1 as n_offenders,
    [path] as offenders,
    'NumberOfFrames is ' || frames_claimed || '; the table frames has the first ' || frames_listed
        as message
from described
where frames_claimed > frames_listed

union all

select
    source,
    'meta_mismatch' as rule,
    subject,
    patient_key,
    study_key,
    series_key,
    null as severity,
    len(told) as measured,
    1 as n_offenders,
    [path] as offenders,
    'The file''s meta header and its data set disagree: ' || array_to_string(told, '; ') as message
from contradictions
where len(told) > 0

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
inner join problems using (source, rule, path)
