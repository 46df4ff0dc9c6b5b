{#- What a meta header and its data set may disagree in. A UID that is cut is no other one. -#}
{%- set contradictions = {
    'it names another instance':
        'is_whole_header and images.MediaStorageSOPInstanceUID <> images.SOPInstanceUID',
    'it names another SOP class':
        'is_whole_header and images.MediaStorageSOPClassUID <> images.SOPClassUID',
    "its transfer syntax is not that of the data set''s bytes": 'contradicted.has_other_encoding',
    'its transfer syntax is not that of the pixels': 'contradicted.has_other_pixels',
    'elements of group 0002 stand in the data set': 'contradicted.has_second_meta',
} -%}

with

contradicted as (
    select
        found.file_id,
        bool_or(codes.code = 'outside_meta') as has_second_meta,
        bool_or(codes.code = 'encoding_differs') as has_other_encoding,
        bool_or(codes.code = 'encapsulation_differs') as has_other_pixels
    from {{ ref('int_element_problems') }} as found
    inner join {{ ref('int_problem_rules') }} as codes using (problem)
    where codes.rule = 'meta_mismatch'
    group by found.file_id
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
    from {{ ref('images') }} as images
    inner join {{ ref('int_multiframe_frames') }} as frames on images.file_id = frames.file_id
    where images.NumberOfFrames is null and frames.frames > 1
),

described as (
    select
        files.source,
        files.file_id,
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
        list_filter(
            [
                {% for words, condition in contradictions.items() %}
                {{ ", " if not loop.first }}case when {{ condition }} then '{{ words }}' end
                {% endfor %}
            ],
            lambda x: x is not null
        ) as told,
        images.NumberOfFrames as frames_claimed,
        listed.frames as frames_listed
    from {{ ref('files') }} as files
    left join {{ ref('images') }} as images using (file_id)
    left join contradicted using (file_id)
    left join listed using (file_id)
),

failed as (
    select
        *,
        case when reason like 'zeroed:%' then 'file_zeroed' else 'file_' || status end as rule,
        case when status = 'not_dicom' and is_known_kind and not is_named_dicom then 'I' end
            as severity,
        coalesce(reason, status) as message
    from described
    where status <> 'ok'

    union all by name

    select
        *,
        'file_trailing_bytes' as rule,
        reason as message
    from described
    where status = 'ok' and reason is not null

    union all by name

    select
        *,
        'pixel_length_mismatch' as rule,
        case when pixel_bytes > expected_pixel_bytes then 'W' end as severity,
        pixel_bytes::double as measured,
        'Pixel data of ' || pixel_bytes || ' bytes where Rows, Columns, frames and bits make '
        || expected_pixel_bytes as message
    from described
    where
        status = 'ok'
        and is_standard_syntax
        and file_id not in (select uncounted.file_id from uncounted)
        and not pixel_bytes between expected_pixel_bytes and expected_pixel_bytes + 1

    union all by name

    select
        *,
        'frames_not_listed' as rule,
        frames_claimed as measured,
        'NumberOfFrames is ' || frames_claimed || '; the table frames has the first '
        || frames_listed as message
    from described
    where frames_claimed > frames_listed

    union all by name

    select
        *,
        'meta_mismatch' as rule,
        len(told) as measured,
        'The file''s meta header and its data set disagree: ' || array_to_string(told, '; ')
            as message
    from described
    where len(told) > 0
)

select
    source,
    rule,
    path as subject,
    patient_key,
    study_key,
    series_key,
    severity,
    measured,
    1 as n_offenders,
    [path] as offenders,
    message
from failed
