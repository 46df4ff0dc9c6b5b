{% set roles = {
    'study': 'StudyInstanceUID',
    'series': 'SeriesInstanceUID',
    'instance': 'SOPInstanceUID',
} %}

with

images as not materialized (
    select * from {{ ref('images') }}
),

frames_of_reference as (
    select
        source,
        FrameOfReferenceUID,
        {{ only_value('patient_key') }} as patient_key,
        {{ only_value('study_key') }} as study_key,
        count(distinct patient_key) as patients,
        count(*) as images
    from images
    where FrameOfReferenceUID is not null
    group by source, FrameOfReferenceUID
),

patient_files as (
    select
        source,
        FrameOfReferenceUID,
        min(path) as path
    from images
    group by source, FrameOfReferenceUID, patient_key
),

frame_offenders as (
    select
        source,
        FrameOfReferenceUID,
        min(path, 20) as paths
    from patient_files
    group by source, FrameOfReferenceUID
),

used_uids as (
    {% for keyword in roles.values() %}
    {% if not loop.first %}union all{% endif %}
    select distinct
        source,
        {{ keyword }} as uid
    from images
    where {{ keyword }} is not null
    {% endfor %}
),

reused_uids as (
    select
        source,
        uid
    from used_uids
    group by source, uid
    having count(*) > 1
),

role_uids as (
    {% for role, keyword in roles.items() %}
    {% if not loop.first %}union all{% endif %}
    select
        source,
        '{{ role }}' as role,
        {{ keyword }} as uid,
        min(path) as path,
        count(*) as files
    from images
    where (source, {{ keyword }}) in (select (reused_uids.source, reused_uids.uid) from reused_uids)
    group by source, {{ keyword }}
    {% endfor %}
),

attributes as not materialized (
    select * from {{ ref('int_entity_findings') }}
    where entity = 'frame_of_reference' and is_failed
)

select
    source,
    'uid_reused_across_roles' as rule,
    uid as subject,
    null::varchar as patient_key,
    null::varchar as study_key,
    null::varchar as series_key,
    null::varchar as severity,
    count(*)::double as measured,
    sum(files)::bigint as n_offenders,
    list_sort(list(distinct path)) as offenders,
    'One UID as ' || string_agg(role, ' and ' order by role) as message
from role_uids
group by source, uid

union all

-- The standard's own frames of reference, such as an atlas, are everybody's.
select
    frames_of_reference.source,
    'frame_of_reference_in_multiple_patients' as rule,
    frames_of_reference.FrameOfReferenceUID as subject,
    null as patient_key,
    null as study_key,
    null as series_key,
    null as severity,
    frames_of_reference.patients::double as measured,
    frames_of_reference.images as n_offenders,
    frame_offenders.paths as offenders,
    'One frame of reference in ' || frames_of_reference.patients || ' patients' as message
from frames_of_reference
inner join frame_offenders using (source, FrameOfReferenceUID)
where
    frames_of_reference.patients > 1
    and frames_of_reference.FrameOfReferenceUID not like '1.2.840.10008.%'

union all

select
    attributes.source,
    attributes.rule,
    attributes.entity_key as subject,
    frames_of_reference.patient_key,
    frames_of_reference.study_key,
    null as series_key,
    attributes.severity,
    attributes.measured,
    attributes.n_offenders,
    attributes.offenders,
    attributes.message
from attributes
inner join frames_of_reference
    on
        attributes.source = frames_of_reference.source
        and attributes.entity_key = frames_of_reference.FrameOfReferenceUID
