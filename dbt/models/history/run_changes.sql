with

this_run as not materialized (
    select * from {{ source('history', 'this_run') }}
),

first_run as (
    select count(*) = 0 as is_first from {{ source('history', 'runs') }}
),

file_changes as not materialized (
    select * from {{ ref('int_file_changes') }}
),

then_series as (
    select
        source,
        series_key,
        count(*) as images
    from {{ source('history', 'files') }}
    where series_key is not null
    group by source, series_key
),

now_series as not materialized (
    select
        source,
        series_key,
        images
    from {{ ref('series') }}
),

touched_series as (
    select
        source,
        series_key_before as series_key
    from file_changes
    union
    select
        source,
        series_key_after
    from file_changes
),

then_tags as not materialized (
    select * from {{ source('history', 'tag_levels') }}
),

now_tags as not materialized (
    select
        source,
        path,
        level
    from {{ ref('tag_levels') }}
),

changes as (
    select
        'file' as entity,
        change,
        source,
        path as subject,
        null as rule,
        null as finding_key,
        status_before as before,
        status_after as after
    from file_changes

    union all

    select
        'series' as entity,
        case
            when then_series.images is null then 'added'
            when now_series.images is null then 'removed'
            else 'changed'
        end as change,
        touched_series.source,
        touched_series.series_key as subject,
        null as rule,
        null as finding_key,
        then_series.images::varchar as before,
        now_series.images::varchar as after
    from touched_series
    left join then_series using (source, series_key)
    left join now_series using (source, series_key)
    where touched_series.series_key is not null

    union all

    select
        'tag' as entity,
        case
            when then_tags.level is null then 'appeared'
            when now_tags.level is null then 'disappeared'
            else 'level'
        end as change,
        coalesce(now_tags.source, then_tags.source) as source,
        coalesce(now_tags.path, then_tags.path) as subject,
        null as rule,
        null as finding_key,
        then_tags.level as before,
        now_tags.level as after
    from now_tags
    full join then_tags using (source, path)
    cross join first_run
    where not first_run.is_first and now_tags.level is distinct from then_tags.level

    union all

    select
        'finding' as entity,
        change,
        source,
        subject,
        rule,
        finding_key,
        before,
        after
    from {{ ref('int_finding_changes') }}
)

select
    run_id,
    entity,
    change,
    source,
    subject,
    rule,
    finding_key,
    before,
    after
from {{ source('history', 'run_changes') }}

union all

select
    this_run.run_id,
    changes.entity,
    changes.change,
    changes.source,
    changes.subject,
    changes.rule,
    changes.finding_key,
    changes.before,
    changes.after
from changes
cross join this_run
