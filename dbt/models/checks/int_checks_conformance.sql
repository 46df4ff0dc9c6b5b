{#-
Long because a file that falls short is found in three ways, by what it lacks, and all three
serve one verdict.
-#}
with

judged as (
    select * from {{ ref('conformance') }}
    where verdict in ('conforms', 'type1_missing', 'type1_empty', 'type2_missing')
),

images as (
    select
        images.source,
        images.series_key,
        images.file_id,
        images.path,
        coalesce(sop_classes.iod, '') as iod
    from {{ ref('images') }} as images
    left join {{ source('standard', 'sop_classes') }} as sop_classes
        on images.SOPClassUID = sop_classes.sop_class_uid
),

functional_groups as (
    select * from {{ ref('int_functional_groups') }}
),

shortcomings as (
    select
        *,
        'type1_missing' as rule,
        absent as failing
    from judged
    where verdict = 'type1_missing'
    union all
    select
        *,
        'type1_empty' as rule,
        empty as failing
    from judged
    where verdict in ('type1_missing', 'type1_empty') and empty > 0
    union all
    select
        *,
        'type2_missing' as rule,
        absent as failing
    from judged
    where verdict = 'type2_missing'
),

-- What is not part of an IOD, file meta information, counts in all images.
series as (
    select
        source,
        series_key,
        iod,
        count(*) as images
    from images
    group by source, series_key, iod
    union all
    select
        source,
        series_key,
        null as iod,
        count(*) as images
    from images
    group by source, series_key
),

measured as (
    select
        shortcomings.*,
        {{ parent_path('shortcomings.path') }} as parent_path,
        bool_or(shortcomings.failing = series.images) over (
            partition by
                shortcomings.source, shortcomings.series_key, shortcomings.iod, shortcomings.rule
        ) as is_of_all
    from shortcomings
    inner join series
        on
            shortcomings.source = series.source
            and shortcomings.series_key = series.series_key
            and shortcomings.iod is not distinct from series.iod
),

-- Which files fall short is looked up only where not all of them do.
partial as (
    select
        source,
        series_key,
        iod,
        rule,
        path,
        parent_path
    from measured
    where not is_of_all
),

of_all as (
    select distinct
        source,
        series_key,
        iod,
        rule,
        null as path,
        null as parent_path
    from measured
    where is_of_all
),

failing as (
    select partial.*
    from partial
    anti join functional_groups using (source, series_key, iod, path)
    union all
    select * from of_all
),

looked_up as (
    select
        source,
        series_key,
        path
    from partial
    union distinct
    select
        source,
        series_key,
        parent_path
    from partial
    where parent_path is not null
),

held as (
    select
        elements.file_id,
        elements.path,
        count(*) as elements,
        count(*) filter (elements.vm = 0) as empty_elements,
        sum(elements.number) filter (elements.vr = 'SQ') as items
    from {{ ref('stg_elements') }} as elements
    where
        (elements.source, elements.series_key, elements.path) in (
            select (looked_up.source, looked_up.series_key, looked_up.path) from looked_up
        )
        and not contains(coalesce(elements.problem, ''), 'outside_meta')
    group by elements.file_id, elements.path
),

with_file_meta as (
    select elements.file_id
    from {{ ref('stg_elements') }} as elements
    where
        elements.tag between '00020000' and '0002FFFF'
        and elements.position = 0
        and (elements.source, elements.series_key) in (
            select (partial.source, partial.series_key) from partial
            where partial.iod is null
        )
),

-- A functional group has a place of its own to be looked up: it may stand at another path.
elsewhere as (
    select partial.*
    from partial
    semi join functional_groups using (source, series_key, iod, path)
),

offending_files as (
    select
        images.source,
        images.series_key,
        elsewhere.rule,
        images.path
    from elsewhere
    inner join functional_groups using (source, series_key, iod, path)
    inner join images
        on functional_groups.file_id = images.file_id
    where
        case elsewhere.rule
            when 'type1_empty' then functional_groups.is_empty
            else functional_groups.is_absent
        end
    union distinct
    select distinct
        images.source,
        images.series_key,
        failing.rule,
        images.path
    from images
    inner join failing
        on
            images.source = failing.source
            and images.series_key = failing.series_key
            and (images.iod = failing.iod or failing.iod is null)
    left join held
        on images.file_id = held.file_id and failing.path = held.path
    left join held as parents
        on images.file_id = parents.file_id and failing.parent_path = parents.path
    left join with_file_meta
        on images.file_id = with_file_meta.file_id
    where
        case
            when failing.path is null then true
            when failing.rule = 'type1_empty' then held.empty_elements > 0
            when failing.iod is null
                then held.elements is null and with_file_meta.file_id is not null
            when failing.parent_path is null then held.elements is null
            else coalesce(held.elements, 0) < parents.items
        end
),

offenders as (
    select
        source,
        series_key,
        rule,
        count(*) as files,
        min(path, 20) as paths
    from offending_files
    group by source, series_key, rule
),

placed as (
    select
        *,
        row_number() over (
            partition by source, series_key, rule
            order by failing desc, path, iod
        ) as place
    from measured
),

messages as (
    select
        source,
        series_key,
        rule,
        count(*) as attributes,
        string_agg(path, ', ' order by place) filter (place <= 10) as named
    from placed
    group by source, series_key, rule
),

series_rules as (
    select distinct
        judged.source,
        judged.series_key,
        rules.rule
    from judged
    cross join (values ('type1_missing'), ('type1_empty'), ('type2_missing')) as rules (rule)
    where judged.iod is not null or rules.rule <> 'type2_missing'
)

select
    series_rules.source,
    series_rules.series_key,
    series_rules.rule,
    messages.rule is not null as is_failed,
    null::varchar as severity,
    coalesce(messages.attributes, 0)::double as measured,
    coalesce(offenders.files, 0) as n_offenders,
    offenders.paths as offenders,
    {{ count_of('messages.attributes', 'attribute') }}
    || case series_rules.rule
        when 'type1_missing' then ' of type 1 missing: '
        when 'type1_empty' then ' of type 1 empty: '
        else ' of type 2 missing: '
    end || messages.named
    || case
        when messages.attributes > 10 then ' and ' || messages.attributes - 10 || ' more'
        else ''
    end as message
from series_rules
left join messages
    on
        series_rules.source = messages.source
        and series_rules.series_key = messages.series_key
        and series_rules.rule = messages.rule
left join offenders
    on
        series_rules.source = offenders.source
        and series_rules.series_key = offenders.series_key
        and series_rules.rule = offenders.rule
