with

series_iods as not materialized (
    select * from {{ ref('int_series_iods') }}
),

attributes as not materialized (
    select * from {{ ref('int_iod_attributes') }}
),

file_meta as not materialized (
    select * from {{ ref('int_file_meta') }}
),

functional_groups as (
    select
        source,
        series_key,
        iod,
        path,
        attribute_type,
        count(*) as images,
        count(*) filter (not is_absent) as complete,
        count(*) filter (is_empty) as empty
    from {{ ref('int_functional_groups') }}
    group by source, series_key, iod, path, attribute_type
),

found as not materialized (
    select * from {{ ref('int_series_paths') }}
),

-- What every image must or may have to have, and what every item of a sequence must have.
expected as (
    select
        series_iods.source,
        series_iods.series_key,
        series_iods.iod,
        attributes.path
    from series_iods
    inner join attributes on series_iods.iod = attributes.iod
    where
        attributes.parent_path is null
        and attributes.requirement in ('type1', 'type2', 'conditional')
        and not contains(attributes.tag, 'x')
    union all
    select
        found.source,
        found.series_key,
        found.iod,
        attributes.path
    from found
    inner join attributes
        on found.iod = attributes.iod and found.path = attributes.parent_path
    where found.images_with_items > 0 and attributes.requirement in ('type1', 'type2')
),

paths as (
    select
        *,
        path as standard_path
    from expected
    union distinct
    select
        source,
        series_key,
        iod,
        path,
        standard_path
    from found
),

counted as (
    select
        paths.source,
        paths.series_key,
        paths.iod,
        paths.path,
        attributes.attribute_type,
        attributes.module,
        attributes.required_by,
        attributes.usage,
        attributes.information_entity,
        attributes.requirement,
        case
            when contains(paths.path, '.') then coalesce(parents.images_with_items, found.images)
            else series_iods.images
        end as images,
        coalesce(found.images - found.short_images, 0) as complete,
        coalesce(found.empty_images, 0) as empty,
        coalesce(found.invalid_images, 0) as invalid
    from paths
    inner join series_iods
        on
            paths.source = series_iods.source
            and paths.series_key = series_iods.series_key
            and paths.iod = series_iods.iod
    left join attributes
        on paths.iod = attributes.iod and paths.standard_path = attributes.path
    left join found
        on
            paths.source = found.source
            and paths.series_key = found.series_key
            and paths.iod = found.iod
            and paths.path = found.path
    left join found as parents
        on
            paths.source = parents.source
            and paths.series_key = parents.series_key
            and paths.iod = parents.iod
            and {{ parent_path('paths.path') }} = parents.path
    anti join functional_groups
        on
            paths.source = functional_groups.source
            and paths.series_key = functional_groups.series_key
            and paths.iod = functional_groups.iod
            and paths.path = functional_groups.path
    union all by name
    -- One judged row for a group, which may stand at either of two paths.
    select
        functional_groups.source,
        functional_groups.series_key,
        functional_groups.iod,
        functional_groups.path,
        functional_groups.attribute_type,
        attributes.module,
        attributes.required_by,
        attributes.usage,
        attributes.information_entity,
        'type' || functional_groups.attribute_type as requirement,
        functional_groups.images,
        functional_groups.complete,
        functional_groups.empty,
        coalesce(found.invalid_images, 0) as invalid
    from functional_groups
    left join attributes
        on
            functional_groups.iod = attributes.iod
            and functional_groups.path = attributes.path
    left join found
        on
            functional_groups.source = found.source
            and functional_groups.series_key = found.series_key
            and functional_groups.iod = found.iod
            and functional_groups.path = found.path
    union all by name
    -- Group 0002 is no part of an IOD: it is the same for all.
    select
        source,
        series_key,
        null as iod,
        path,
        attribute_type,
        module,
        module as required_by,
        'M' as usage,
        'File' as information_entity,
        case attribute_type when '1' then 'type1' when '3' then 'optional' else 'conditional' end
            as requirement,
        images,
        complete,
        empty,
        invalid
    from file_meta
)

select
    source,
    series_key,
    nullif(iod, '') as iod,
    path,
    attribute_type,
    module,
    required_by,
    usage,
    information_entity,
    images,
    complete - empty as present,
    empty,
    images - complete as absent,
    invalid,
    case
        when iod = '' then 'no_iod'
        when requirement is null then 'not_in_iod'
        when requirement = 'type1' and complete < images then 'type1_missing'
        when requirement = 'type1' and empty > 0 then 'type1_empty'
        when requirement = 'type2' and complete < images then 'type2_missing'
        when requirement in ('type1', 'type2') then 'conforms'
        else requirement
    end as verdict
from counted
