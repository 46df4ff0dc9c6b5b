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

then_findings as not materialized (
    select * from {{ source('history', 'findings') }}
),

now_findings as not materialized (
    select
        findings.source,
        findings.rule,
        findings.subject,
        findings.finding_key,
        case when findings.is_waived then 'waived' else findings.severity end as told,
        standing.finding_key is null as is_new,
        case when standing.was_waived then 'waived' else standing.severity_before end
            as told_before
    from {{ ref('findings') }} as findings
    left join {{ ref('int_standing_findings') }} as standing using (finding_key)
),

finding_changes as (
    select
        source,
        rule,
        subject,
        finding_key,
        case
            when is_new then 'new'
            when told = 'waived' then 'waived'
            when told_before = 'waived' then 'unwaived'
            else 'severity'
        end as change,
        told_before,
        told
    from now_findings
    where is_new or told <> told_before

    union all

    select
        then_findings.source,
        then_findings.rule,
        then_findings.subject,
        then_findings.finding_key,
        'fixed' as change,
        case when then_findings.is_waived then 'waived' else then_findings.severity end
            as told_before,
        null as told
    from then_findings
    anti join {{ ref('int_standing_findings') }} as standing
        on
            then_findings.source = standing.source
            and then_findings.rule = standing.rule
            and then_findings.subject = standing.subject_before
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
        finding_changes.change,
        finding_changes.source,
        finding_changes.subject,
        finding_changes.rule,
        finding_changes.finding_key,
        finding_changes.told_before as before,
        finding_changes.told as after
    from finding_changes
    cross join first_run
    where not first_run.is_first
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
