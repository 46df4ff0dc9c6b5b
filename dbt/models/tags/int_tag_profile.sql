with

scope_paths as not materialized (
    select * from {{ ref('int_entity_paths') }}
    where level = 'source'
),

path_values as not materialized (
    select * from {{ ref('int_source_path_values') }}
    where not is_empty
),

levels as not materialized (
    select * from {{ ref('int_tag_levels') }}
),

paths as not materialized (
    select * from {{ ref('int_paths') }}
),

standard_paths as not materialized (
    select * from {{ ref('int_standard_paths') }}
),

summaries as (
    select
        source,
        scope,
        path,
        -- Commonest first, then by text, so that a tie is settled alike in every build.
        min(struct_pack(fewer := -images, value := value), 5) as commonest,
        -- In a fixed order, so that the last digit is always the same.
        sum(number_mean * images order by number_mean, images)
        / sum(images) filter (number_mean is not null) as number_mean
    from path_values
    group by source, scope, path
)

select
    scope_paths.source,
    scope_paths.scope,
    scope_paths.path,
    paths.tag,
    paths.keyword,
    paths.vr,
    scope_paths.images,
    scope_paths.present,
    scope_paths.empty,
    scope_paths.absent,
    scope_paths.invalid,
    100.0 * (scope_paths.empty + scope_paths.absent) / scope_paths.images as percent_missing,
    scope_paths.distinct_values,
    list_transform(summaries.commonest, lambda x: left(x['value'], 200)) as examples,
    summaries.commonest[1].value as commonest_value,
    -summaries.commonest[1].fewer / scope_paths.present as commonest_share,
    scope_paths.number_min,
    scope_paths.number_max,
    summaries.number_mean,
    scope_paths.state,
    case
        when scope_paths.present = 0 then 'always empty'
        when scope_paths.present * 2 < scope_paths.images then 'mostly missing'
        when scope_paths.state = 'not_compared' then 'not compared'
        when scope_paths.distinct_values = 1 then 'constant'
        when levels.level = 'item' then 'varies inside an image'
        when
            scope_paths.distinct_values = scope_paths.present
            and scope_paths.number_min is null
            and not {{ has_forms('paths.vr') }}
            and paths.vr <> 'SQ'
            then 'identifier'
        when levels.level in ('patient', 'study', 'series') then 'constant per ' || levels.level
        else 'varies by image'
    end as verdict,
    standard_paths.information_entity,
    standard_paths.module,
    standard_paths.attribute_type
from scope_paths
inner join paths using (source, path)
inner join levels using (source, scope, path)
left join summaries using (source, scope, path)
left join standard_paths using (source, scope, path)
