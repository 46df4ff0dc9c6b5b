with

attributes as (
    select
        attributes.*,
        absences.example as file_without,
        case
            when attributes.distinct_values > 1
                then
                    attributes.path || ' has ' || attributes.distinct_values || ' values ('
                    || array_to_string(
                        [
                            x['images'] for x in attributes.attribute_values
                            if x['value'] is not null
                        ][1:5],
                        ', '
                    )
                    || case when attributes.distinct_values > 5 then ', ...' else '' end
                    || ' images)'
            when attributes.present > 0 and attributes.empty > 0
                then
                    attributes.path || ' is empty in ' || attributes.empty || ' of '
                    || {{ count_of('attributes.images', 'image') }}
            else
                attributes.path || ' is absent from ' || attributes.absent || ' of '
                || {{ count_of('attributes.images', 'image') }}
        end as words,
        row_number() over (
            partition by attributes.source, attributes.entity, attributes.entity_key
            order by attributes.severity, attributes.path
        ) as rank
    from {{ ref('entity_attributes') }} as attributes
    left join {{ ref('int_entity_absences') }} as absences using (source, entity, entity_key, path)
),

-- The rarest say first where to look.
examples as (
    select
        source,
        entity,
        entity_key,
        unnest(attribute_values, max_depth := 2)
    from attributes
    where severity is not null

    union all by name

    select
        source,
        entity,
        entity_key,
        file_without as path,
        absent as images
    from attributes
    where severity is not null and file_without is not null
),

example_files as (
    select
        source,
        entity,
        entity_key,
        path,
        min(images) as images
    from examples
    group by source, entity, entity_key, path
),

offenders as (
    select
        source,
        entity,
        entity_key,
        list(path order by images, path)[1:20] as offenders
    from example_files
    group by source, entity, entity_key
),

compared as (
    select
        source,
        entity,
        entity_key,
        count(severity) as inconsistent,
        {{ worst_severity() }} as severity,
        max(other_images) filter (severity is not null) as n_offenders,
        string_agg(words, '; ' order by rank) filter (severity is not null and rank <= 5) as words
    from attributes
    group by source, entity, entity_key
)

select
    compared.source,
    compared.entity,
    compared.entity_key,
    compared.entity || '_attribute_inconsistent' as rule,
    compared.inconsistent > 0 as is_failed,
    compared.severity,
    compared.inconsistent::double as measured,
    coalesce(compared.n_offenders, 0)::bigint as n_offenders,
    offenders.offenders,
    compared.words
    || case
        when compared.inconsistent > 5 then '; and ' || compared.inconsistent - 5 || ' more' else ''
    end as message
from compared
left join offenders using (source, entity, entity_key)
