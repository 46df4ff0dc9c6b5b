with

attributes as (
    select
        *,
        case
            when distinct_values > 1
                then
                    path || ' has ' || distinct_values || ' values ('
                    || array_to_string(
                        list_transform(attribute_values[1:5], lambda x: x['images']), ', '
                    )
                    || ' images)'
            when present > 0 and empty > 0
                then path || ' is empty in ' || empty || ' of ' || {{ count_of('images', 'image') }}
            else path || ' is absent from ' || absent || ' of ' || {{ count_of('images', 'image') }}
        end as words,
        row_number() over (
            partition by source, entity, entity_key order by severity, path
        ) as rank
    from {{ ref('entity_attributes') }}
),

compared as (
    select
        source,
        entity,
        entity_key,
        count(severity) as inconsistent,
        {{ worst_severity() }} as severity,
        max(other_images) filter (severity is not null) as n_offenders,
        list_sort(
            list_distinct(
                flatten(
                    list(list_transform(attribute_values, lambda x: x['path']))
                    filter (severity is not null)
                )
            )
        )[1:20] as offenders,
        string_agg(words, '; ' order by rank) filter (severity is not null and rank <= 5) as words
    from attributes
    group by source, entity, entity_key
)

select
    source,
    entity,
    entity_key,
    entity || '_attribute_inconsistent' as rule,
    inconsistent > 0 as is_failed,
    severity,
    inconsistent::double as measured,
    coalesce(n_offenders, 0)::bigint as n_offenders,
    offenders,
    words || case when inconsistent > 5 then '; and ' || inconsistent - 5 || ' more' else '' end
        as message
from compared
