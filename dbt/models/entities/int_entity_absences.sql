with

-- As many of an entity as its finding has words for.
absences as (
    select
        source,
        entity,
        entity_key,
        path,
        split_part(path, '.', 1) as root,
        {{ parent_path('path') }} as parent
    from {{ ref('entity_attributes') }}
    where severity is not null and absent > 0
    qualify row_number() over (
        partition by source, entity, entity_key order by severity, path
    ) <= 5
),

images as not materialized (
    select
        source,
        patient_key,
        study_key,
        series_key,
        FrameOfReferenceUID,
        SOPClassUID as sop_class_uid,
        file_id,
        path as file
    from {{ ref('images') }}
),

listed as (
    select
        absences.*,
        entities.sop_class_uid
    from absences
    inner join {{ ref('int_attribute_entities') }} as entities
        on absences.root = entities.path and absences.entity = entities.entity
),

candidates as (
    {% for entity, key in entity_keys().items() %}
    {% if not loop.first %}union all{% endif %}
    select
        listed.source,
        listed.entity,
        listed.entity_key,
        listed.path,
        listed.parent,
        images.file_id,
        images.file
    from listed
    inner join images
        on
            listed.source = images.source
            and listed.sop_class_uid = images.sop_class_uid
            and listed.entity_key = images.{{ key }}
    where listed.entity = '{{ entity }}'
    {% endfor %}
),

paths as (
    select path from absences
    union
    select parent from absences
    where parent is not null
),

held as (
    select
        file_id,
        path,
        vm
    from {{ ref('stg_elements') }}
    where path in (select paths.path from paths)
)

select
    source,
    entity,
    entity_key,
    path,
    min(file) as example
from candidates
where
    (file_id, path) not in (select (held.file_id, held.path) from held)
    -- Inside a sequence only the images that have its items can lack something.
    and (
        parent is null
        or (file_id, parent) in (
            select (held.file_id, held.path) from held
            where held.vm > 0
        )
    )
group by source, entity, entity_key, path
