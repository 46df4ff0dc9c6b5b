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

paths as not materialized (
    select * from {{ ref('int_expected_paths') }}
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
    inner join series_iods using (source, series_key, iod)
    anti join functional_groups using (source, series_key, iod, path)
    left join found using (source, series_key, iod, path)
    left join attributes
        on paths.iod = attributes.iod and paths.standard_path = attributes.path
    left join found as parents
        on
            paths.source = parents.source
            and paths.series_key = parents.series_key
            and paths.iod = parents.iod
            and {{ parent_path('paths.path') }} = parents.path
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
    left join attributes using (iod, path)
    left join found using (source, series_key, iod, path)
    union all by name
    -- Group 0002 is not part of an IOD: it is the same for all.
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
