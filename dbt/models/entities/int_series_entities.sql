with

entities as not materialized (
    select * from {{ ref('int_attribute_entities') }}
),

roots as (
    select distinct split_part(path, '.', 1) as root from {{ ref('int_series_path_values') }}
),

-- A few rows a series: nearly always one SOP class and one frame of reference. What lies in the
-- source itself without a PatientID is not a patient that anything could agree within.
classes as (
    select
        source,
        patient_key,
        study_key,
        series_key,
        SOPClassUID as sop_class_uid,
        bool_or(PatientID is not null or patient_folder <> '') as has_patient,
        count(*) as images,
        min(FrameOfReferenceUID) as frame_min,
        max(FrameOfReferenceUID) as frame_max
    from {{ ref('images') }}
    group by source, patient_key, study_key, series_key, SOPClassUID
),

frames_of_reference as (
    select
        source,
        series_key,
        case when min(frame_min) = max(frame_max) then min(frame_min) end as FrameOfReferenceUID
    from classes
    group by source, series_key
),

-- What the IODs of a series' images list, and for how many of them.
listed as (
    select
        classes.source,
        classes.patient_key,
        classes.study_key,
        classes.series_key,
        entities.path as root,
        bool_or(classes.has_patient) as has_patient,
        min(entities.entity) as entity,
        sum(classes.images)::bigint as images
    from classes
    inner join entities on classes.sop_class_uid = entities.sop_class_uid
    where entities.path in (select roots.root from roots)
    group by
        classes.source, classes.patient_key, classes.study_key, classes.series_key, entities.path
    having count(distinct entities.entity) = 1
)

select
    listed.source,
    listed.patient_key,
    listed.study_key,
    listed.series_key,
    listed.root,
    listed.entity,
    listed.images,
    case listed.entity
        {% for entity, key in entity_keys().items() %}
        when '{{ entity }}' then {{ key if key == 'FrameOfReferenceUID' else 'listed.' ~ key }}
        {% endfor %}
    end as entity_key,
    entity_key is not null and (listed.has_patient or listed.entity <> 'patient')
        as is_compared
from listed
inner join frames_of_reference using (source, series_key)
