with

attributes as not materialized (
    select * from {{ ref('int_iod_attributes') }}
),

scopes as not materialized (
    select * from {{ ref('int_scopes') }}
),

iod_images as (
    select
        images.source,
        scopes.scope,
        sop_classes.iod,
        count(*) as images
    from {{ ref('images') }} as images
    inner join scopes
        on
            images.source = scopes.source
            and images.Modality is not distinct from scopes.Modality
    inner join {{ source('standard', 'sop_classes') }} as sop_classes
        on images.SOPClassUID = sop_classes.sop_class_uid
    group by images.source, scopes.scope, sop_classes.iod
),

paths as not materialized (
    select
        source,
        path,
        standard_path
    from {{ ref('int_paths') }}
),

-- What the objects of a scope say of the paths that its source holds.
statements as (
    select
        iod_images.source,
        iod_images.scope,
        iod_images.images,
        paths.path,
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
    from iod_images
    inner join attributes on iod_images.iod = attributes.iod
    inner join paths
        on iod_images.source = paths.source and attributes.path = paths.standard_path
),

votes as (
    select
        source,
        scope,
        path,
        level,
        sum(images) as images
    from statements
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
        statements.source,
        statements.scope,
        statements.path,
        statements.level,
        statements.information_entity,
        statements.module,
        statements.attribute_type,
        sum(statements.images) as images
    from statements
    inner join levels using (source, scope, path, level)
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
