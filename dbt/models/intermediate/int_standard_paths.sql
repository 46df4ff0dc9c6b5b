with

attributes as (
    select * from {{ source('standard', 'iod_attributes') }}
),

class_images as (
    select
        source,
        SOPClassUID as sop_class_uid,
        count(*) as images
    from {{ ref('stg_images') }}
    group by source, SOPClassUID
),

paths as (
    select
        source,
        path
    from {{ ref('int_paths') }}
),

-- What the objects of this source say of the paths that it holds.
statements as (
    select
        class_images.source,
        class_images.sop_class_uid,
        class_images.images,
        attributes.path,
        attributes.information_entity,
        attributes.module,
        attributes.attribute_type,
        case
            when attributes.information_entity = 'Patient' then 'patient'
            when attributes.information_entity = 'Study' then 'study'
            when attributes.information_entity in ('Series', 'Equipment', 'Frame of Reference')
                then 'series'
            else 'image'
        end as level
    from class_images
    inner join attributes on class_images.sop_class_uid = attributes.sop_class_uid
    inner join paths
        on class_images.source = paths.source and attributes.path = paths.path
),

class_levels as (
    select distinct
        source,
        path,
        level,
        sop_class_uid,
        images
    from statements
),

votes as (
    select
        source,
        path,
        level,
        sum(images) as images
    from class_levels
    group by source, path, level
),

levels as (
    select
        source,
        path,
        level
    from votes
    qualify row_number() over (
        partition by source, path
        order by
            images desc,
            case level when 'patient' then 1 when 'study' then 2 when 'series' then 3 else 4 end
    ) = 1
),

unambiguous as (
    select
        source,
        path,
        case when count(distinct information_entity) = 1 then min(information_entity) end
            as information_entity,
        case when count(distinct module) = 1 then min(module) end as module,
        case when count(distinct attribute_type) = 1 then min(attribute_type) end as attribute_type
    from statements
    group by source, path
)

select
    levels.source,
    levels.path,
    levels.level as standard_level,
    unambiguous.information_entity,
    unambiguous.module,
    unambiguous.attribute_type
from levels
inner join unambiguous
    on levels.source = unambiguous.source and levels.path = unambiguous.path
