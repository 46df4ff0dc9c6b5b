with

images as not materialized (
    select * from {{ ref('images') }}
),

files as not materialized (
    select * from {{ ref('files') }}
),

-- Nearly every instance stands once.
repeated as (
    select
        source,
        SOPInstanceUID
    from images
    where SOPInstanceUID is not null
    group by source, SOPInstanceUID
    having count(*) > 1
),

invalid_uids as not materialized (
    select
        file_id,
        path,
        elements
    from {{ ref('int_element_problems') }}
    where list_contains(string_split(problem, ' '), 'uid_invalid')
)

select
    source,
    'instance_in_multiple_series' as rule,
    SOPInstanceUID as subject,
    {{ only_value('patient_key') }} as patient_key,
    {{ only_value('study_key') }} as study_key,
    null::varchar as series_key,
    null::varchar as severity,
    count(distinct series_key)::double as measured,
    count(*) as n_offenders,
    min(path, 20) as offenders,
    'One instance in ' || count(distinct series_key) || ' series' as message
from images
where (source, SOPInstanceUID) in (select (repeated.source, repeated.SOPInstanceUID) from repeated)
group by source, SOPInstanceUID
having count(distinct series_key) > 1

union all

select
    files.source,
    'uid_invalid' as rule,
    coalesce(files.SOPInstanceUID, files.path) as subject,
    {{ only_value('images.patient_key') }} as patient_key,
    {{ only_value('images.study_key') }} as study_key,
    {{ only_value('images.series_key') }} as series_key,
    null as severity,
    sum(invalid_uids.elements)::double as measured,
    count(distinct files.path) as n_offenders,
    list_sort(list(distinct files.path))[1:20] as offenders,
    'No valid UID: '
    || array_to_string(list_sort(list(distinct invalid_uids.path))[1:5], ', ') as message
from invalid_uids
inner join files on invalid_uids.file_id = files.file_id
left join images on files.file_id = images.file_id
group by files.source, coalesce(files.SOPInstanceUID, files.path)
