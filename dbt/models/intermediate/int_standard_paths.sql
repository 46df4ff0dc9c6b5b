with

attributes as (
    select * from {{ source('standard', 'iod_attributes') }}
),

scopes as (
    select * from {{ ref('int_scopes') }}
),

class_images as (
    select
        images.source,
        scopes.scope,
        images.SOPClassUID as sop_class_uid,
        count(*) as images
    from {{ ref('stg_images') }} as images
    inner join scopes
        on
            images.source = scopes.source
            and images.Modality is not distinct from scopes.Modality
    group by images.source, scopes.scope, images.SOPClassUID
),

paths as (
    select
        source,
        path
    from {{ ref('int_paths') }}
),

-- What the objects of a scope say of the paths that its source holds.
statements as (
    select
        class_images.source,
        class_images.scope,
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

-- Of the modules that define it for a class the strictest binds: type 1 before 1C, 2, 2C, 3.
binding as (
    select * from statements
    qualify row_number() over (
        partition by source, scope, sop_class_uid, path
        order by attribute_type, module, information_entity
    ) = 1
),

votes as (
    select
        source,
        scope,
        path,
        level,
        sum(images) as images
    from binding
    group by source, scope, path, level
),

levels as (
    select
        source,
        scope,
        path,
        level
    from votes
    qualify row_number() over (
        partition by source, scope, path
        order by
            images desc,
            case level when 'patient' then 1 when 'study' then 2 when 'series' then 3 else 4 end
    ) = 1
),

definitions as (
    select
        binding.source,
        binding.scope,
        binding.path,
        binding.level,
        binding.information_entity,
        binding.module,
        binding.attribute_type,
        sum(binding.images) as images
    from binding
    inner join levels
        on
            binding.source = levels.source
            and binding.scope = levels.scope
            and binding.path = levels.path
            and binding.level = levels.level
    group by all
)

select
    source,
    scope,
    path,
    level as standard_level,
    information_entity,
    module,
    attribute_type
from definitions
qualify row_number() over (
    partition by source, scope, path
    order by images desc, attribute_type, module, information_entity
) = 1
