with

source_paths as (
    select * from {{ ref('int_entity_paths') }}
    where level = 'source'
),

path_values as (
    select * from {{ ref('int_source_path_values') }}
    where not is_empty
),

levels as (
    select * from {{ ref('tag_levels') }}
),

standard_paths as (
    select * from {{ ref('int_standard_paths') }}
),

summaries as (
    select
        source,
        path,
        -- Commonest first, then by text, so that a tie is settled alike in every build.
        min(struct_pack(fewer := -images, value := value), 5) as commonest,
        -- In a fixed order, so that the last digit is always the same.
        sum(number_mean * images order by number_mean, images)
        / sum(images) filter (number_mean is not null) as number_mean
    from path_values
    group by source, path
),

measured as (
    select
        source_paths.source,
        source_paths.path,
        levels.tag,
        levels.keyword,
        levels.vr,
        source_paths.images,
        source_paths.present,
        source_paths.empty,
        source_paths.absent,
        source_paths.invalid,
        100.0 * (source_paths.empty + source_paths.absent) / source_paths.images
            as percent_missing,
        source_paths.distinct_values,
        list_transform(summaries.commonest, lambda x: left(x['value'], 200)) as examples,
        summaries.commonest[1].value as commonest_value,
        -summaries.commonest[1].fewer / source_paths.present as commonest_share,
        source_paths.number_min,
        source_paths.number_max,
        summaries.number_mean,
        source_paths.state = 'constant' as is_constant,
        source_paths.state,
        levels.level,
        standard_paths.information_entity,
        standard_paths.module,
        standard_paths.attribute_type
    from source_paths
    inner join levels
        on source_paths.source = levels.source and source_paths.path = levels.path
    left join summaries
        on source_paths.source = summaries.source and source_paths.path = summaries.path
    left join standard_paths
        on
            source_paths.source = standard_paths.source
            and source_paths.path = standard_paths.path
)

select
    source,
    path,
    tag,
    keyword,
    vr,
    images,
    present,
    empty,
    absent,
    invalid,
    percent_missing,
    distinct_values,
    examples,
    commonest_value,
    commonest_share,
    number_min,
    number_max,
    number_mean,
    is_constant,
    case
        when state = 'always_empty' then 'always empty'
        when percent_missing > 50 then 'mostly missing'
        when level = 'unknown' then 'too few images'
        when state = 'constant' then 'constant'
        when state = 'constant_where_present' then 'constant where present'
        when
            distinct_values = present and number_min is null
            and vr not in ('DA', 'TM', 'DT', 'SQ')
            then 'identifier'
        when level = 'item' then 'varies inside an image'
        when level = 'image' then 'varies by image'
        else 'constant per ' || level
    end as verdict,
    information_entity,
    module,
    attribute_type
from measured
