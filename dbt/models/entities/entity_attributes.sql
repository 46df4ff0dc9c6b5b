with

series_entities as not materialized (
    select * from {{ ref('int_series_entities') }}
    where is_compared
),

files as not materialized (
    select
        file_id,
        path
    from {{ ref('files') }}
),

-- Most values belong to images alone: they are left out before anything is made of them.
entity_paths as (
    select path
    from {{ ref('int_series_path_values') }}
    group by path
    having split_part(path, '.', 1) in (select series_entities.root from series_entities)
),

path_values as (
    select
        *,
        split_part(path, '.', 1) as root,
        {{ parent_path('path') }} as parent,
        -- Empty components at the end of a name say nothing; null stands for no value.
        case
            when vr = 'PN'
                then
                    nullif(
                        regexp_replace(
                            regexp_replace(value_key, '\^+(=|\\|\x1F|$)', '\1', 'g'),
                            '=+(\\|\x1F|$)', '\1', 'g'
                        ),
                        ''
                    )
            else value_key
        end as compared_key
    from {{ ref('int_series_path_values') }}
    where path in (select entity_paths.path from entity_paths)
),

entity_images as (
    select
        source,
        entity,
        entity_key,
        root,
        sum(images)::bigint as images
    from series_entities
    group by source, entity, entity_key, root
),

entity_values as (
    select
        path_values.source,
        series_entities.entity,
        series_entities.entity_key,
        path_values.root,
        path_values.parent,
        path_values.path,
        path_values.compared_key,
        min(path_values.value) filter (path_values.compared_key is not null) as value,
        min(path_values.tag) as tag,
        bool_or(path_values.vr = 'SQ') as is_sequence,
        sum(path_values.images)::bigint as images,
        min(path_values.example_file_id) as example_file_id
    from path_values
    inner join series_entities using (source, patient_key, study_key, series_key, root)
    group by all
),

counted as (
    select
        entity_values.source,
        entity_values.entity,
        entity_values.entity_key,
        entity_values.root,
        entity_values.parent,
        entity_values.path,
        min(entity_values.tag) as tag,
        bool_or(entity_values.is_sequence) as is_sequence,
        count(entity_values.compared_key) as distinct_values,
        coalesce(
            sum(entity_values.images) filter (entity_values.compared_key is not null), 0
        )::bigint as present,
        coalesce(
            sum(entity_values.images) filter (entity_values.compared_key is null), 0
        )::bigint as empty,
        max(entity_values.images) as commonest,
        list(
            struct_pack(
                value := entity_values.value, images := entity_values.images, path := files.path
            )
            order by entity_values.images desc, entity_values.compared_key
        )[1:20] as found
    from entity_values
    inner join files on entity_values.example_file_id = files.file_id
    group by all
),

-- Inside a sequence only the images that have its items can lack something.
measured as (
    select
        counted.*,
        case when counted.parent is null then entity_images.images else parents.present end
            as images
    from counted
    inner join entity_images using (source, entity, entity_key, root)
    left join counted as parents
        on
            counted.source = parents.source
            and counted.entity = parents.entity
            and counted.entity_key = parents.entity_key
            and counted.parent = parents.path
),

complete as (
    select
        *,
        greatest(images - present - empty, 0) as absent
    from measured
)

select
    source,
    entity,
    entity_key,
    path,
    tag,
    case
        when distinct_values > 1 and parent is null and not is_sequence then 'E'
        when distinct_values > 1 then 'W'
        when empty > 0 and present > 0 then 'W'
        when absent > 0 then 'W'
    end as severity,
    distinct_values,
    images,
    present,
    empty,
    absent,
    images - commonest as other_images,
    found as attribute_values
from complete
