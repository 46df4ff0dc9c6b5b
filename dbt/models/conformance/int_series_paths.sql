{#-
Long because top level, nested elements and items that lack one are counted apart, from one
reading of the elements.
-#}
with

series_iods as (
    select * from {{ ref('int_series_iods') }}
),

mixed_series as (
    select * from series_iods
    where is_mixed
),

-- Where images of one series are of several IODs, each counts with its own.
mixed_files as (
    select
        images.file_id,
        coalesce(sop_classes.iod, '') as iod
    from {{ ref('images') }} as images
    left join {{ source('standard', 'sop_classes') }} as sop_classes
        on images.SOPClassUID = sop_classes.sop_class_uid
    where exists (
        select 1 from series_iods
        where
            series_iods.is_mixed
            and series_iods.source = images.source
            and series_iods.series_key = images.series_key
    )
),

-- Read anew by each that needs it: kept in memory, it would be the whole lake.
elements as not materialized (
    select
        elements.source,
        elements.series_key,
        mixed_files.iod,
        elements.file_id,
        elements.path,
        elements.keyword,
        elements.depth,
        elements.vm,
        elements.problem_class,
        case when elements.vr = 'SQ' then coalesce(elements.number, 0) else 0 end as items
    from {{ ref('stg_elements') }} as elements
    left join mixed_files on elements.file_id = mixed_files.file_id
    where
        elements.patient_key is not null
        and not elements.structural
        and not {{ is_private('elements.path') }}
),

repeating as (
    select
        replace(tag, 'x', '_') as tags,
        keyword
    from {{ source('standard', 'attributes') }}
    where contains(tag, 'x')
),

-- Elements outside sequences are counted already, but by series alone.
unmixed as (
    select
        path_values.source,
        path_values.series_key,
        null::varchar as iod,
        path_values.path,
        sum(path_values.images)::bigint as images,
        0 as short_images,
        coalesce(sum(path_values.images) filter (path_values.is_empty), 0)::bigint as empty_images,
        sum(path_values.invalid_images)::bigint as invalid_images,
        coalesce(
            sum(path_values.images) filter (path_values.vr = 'SQ' and not path_values.is_empty), 0
        )::bigint as images_with_items,
        coalesce(
            sum(path_values.images * try_cast(path_values.value_key as bigint))
            filter (path_values.vr = 'SQ'),
            0
        ) as items
    from {{ ref('int_series_path_values') }} as path_values
    anti join mixed_series using (source, series_key)
    where not {{ is_private('path_values.path') }} and not contains(path_values.path, '.')
    group by path_values.source, path_values.series_key, path_values.path
),

masked as (
    select
        paths.path,
        repeating.keyword
    from (
        select distinct path from unmixed
        where regexp_full_match(path, '[0-9A-F]{8}')
    ) as paths
    inner join repeating on paths.path like repeating.tags
),

top_level as (
    select
        unmixed.*,
        masked.keyword
    from unmixed
    left join masked using (path)
    union all by name
    select
        source,
        series_key,
        iod,
        path,
        min(keyword) as keyword,
        count(*) as images,
        0 as short_images,
        count(*) filter (vm = 0) as empty_images,
        count(*) filter (problem_class = 'value') as invalid_images,
        count(*) filter (items > 0) as images_with_items,
        sum(items) as items
    from elements
    where depth = 0 and iod is not null
    group by source, series_key, iod, path
),

nested_files as (
    select
        source,
        series_key,
        iod,
        file_id,
        path,
        count(*) as elements,
        count(*) filter (vm = 0) as empty_elements,
        count(*) filter (problem_class = 'value') as invalid_elements,
        sum(items) as items
    from elements
    where depth > 0
    group by source, series_key, iod, file_id, path
),

nested as (
    select
        source,
        series_key,
        iod,
        path,
        {{ parent_path('path') }} as parent_path,
        count(*) as images,
        sum(elements) as elements,
        count(*) filter (empty_elements > 0) as empty_images,
        count(*) filter (invalid_elements > 0) as invalid_images,
        count(*) filter (items > 0) as images_with_items,
        sum(items) as items
    from nested_files
    group by source, series_key, iod, path
),

parents as (
    select
        source,
        series_key,
        iod,
        path,
        items
    from top_level
    where items > 0
    union all
    select
        source,
        series_key,
        iod,
        path,
        items
    from nested
    where items > 0
),

-- One item has an element once at most: where the sums agree, no item lacks it.
uneven as (
    select nested.*
    from nested
    inner join parents
        on
            nested.source = parents.source
            and nested.series_key = parents.series_key
            and nested.iod is not distinct from parents.iod
            and nested.parent_path = parents.path
    where nested.elements < parents.items
),

items_of_files as (
    select
        file_id,
        path,
        sum(items) as items
    from elements
    where
        items > 0
        and (source, series_key, path) in (
            select (uneven.source, uneven.series_key, uneven.parent_path) from uneven
        )
    group by file_id, path
),

short as (
    select
        nested_files.source,
        nested_files.series_key,
        nested_files.iod,
        nested_files.path,
        count(*) as images,
        count(*) filter (nested_files.empty_elements > 0) as empty_images
    from nested_files
    inner join uneven
        on
            nested_files.source = uneven.source
            and nested_files.series_key = uneven.series_key
            and nested_files.iod is not distinct from uneven.iod
            and nested_files.path = uneven.path
    inner join items_of_files
        on
            nested_files.file_id = items_of_files.file_id
            and uneven.parent_path = items_of_files.path
    where nested_files.elements < items_of_files.items
    group by nested_files.source, nested_files.series_key, nested_files.iod, nested_files.path
),

counted as (
    select
        *,
        null as parent_path
    from top_level
    union all by name
    select
        nested.source,
        nested.series_key,
        nested.iod,
        nested.path,
        nested.parent_path,
        null as keyword,
        nested.images,
        coalesce(short.images, 0) as short_images,
        nested.empty_images - coalesce(short.empty_images, 0) as empty_images,
        nested.invalid_images,
        nested.images_with_items,
        nested.items
    from nested
    left join short
        on
            nested.source = short.source
            and nested.series_key = short.series_key
            and nested.iod is not distinct from short.iod
            and nested.path = short.path
)

select
    counted.source,
    counted.series_key,
    series_iods.iod,
    counted.path,
    counted.parent_path,
    -- Tags of a repeating group (60xx) are one attribute in the standard's tables.
    case
        when regexp_full_match(counted.path, '[0-9A-F]{8}')
            then coalesce(counted.keyword, counted.path)
        else counted.path
    end as standard_path,
    counted.images,
    counted.short_images,
    counted.empty_images,
    counted.invalid_images,
    counted.images_with_items
from counted
inner join series_iods
    on
        counted.source = series_iods.source
        and counted.series_key = series_iods.series_key
        and (counted.iod = series_iods.iod or not series_iods.is_mixed)
