with

found as not materialized (
    select * from {{ ref('int_findings') }}
),

then_found as not materialized (
    select * from {{ source('history', 'findings') }}
),

-- A file without an instance is known by its path alone: one that is gone and one that came, of the
-- same size and time, are one that was renamed, if no other file could be meant.
then_files as (
    select
        then_found.source,
        then_found.rule,
        then_found.subject,
        files.size_bytes,
        files.modified_at
    from then_found
    inner join {{ source('history', 'files') }} as files
        on then_found.source = files.source and then_found.subject = files.path
    anti join {{ ref('files') }} as now_files
        on then_found.source = now_files.source and then_found.subject = now_files.path
    where then_found.finding_key not in (select found.finding_key from found)
    qualify
        count(*) over (
            partition by then_found.source, then_found.rule, files.size_bytes, files.modified_at
        ) = 1
),

now_files as (
    select
        found.finding_key,
        found.source,
        found.rule,
        files.size_bytes,
        files.modified_at
    from found
    inner join {{ ref('files') }} as files
        on found.source = files.source and found.subject = files.path
    anti join {{ source('history', 'files') }} as then_files
        on found.source = then_files.source and found.subject = then_files.path
    where
        found.finding_key not in (
            select then_found.finding_key from then_found
            where then_found.finding_key is not null
        )
    qualify
        count(*) over (
            partition by found.source, found.rule, files.size_bytes, files.modified_at
        ) = 1
),

-- Earlier releases gave their findings no key.
known as (
    select
        found.finding_key,
        then_found.source,
        then_found.rule,
        then_found.subject
    from found
    inner join then_found using (finding_key)

    union all

    select
        found.finding_key,
        then_found.source,
        then_found.rule,
        then_found.subject
    from found
    inner join then_found using (source, rule, subject)
    where then_found.finding_key is null

    union all

    select
        now_files.finding_key,
        then_files.source,
        then_files.rule,
        then_files.subject
    from now_files
    inner join then_files using (source, rule, size_bytes, modified_at)
),

last_run as (
    select max_by(run_id, generation) as run_id from {{ source('history', 'runs') }}
)

select
    known.finding_key,
    known.source,
    known.rule,
    known.subject as subject_before,
    then_found.severity as severity_before,
    coalesce(then_found.is_waived, false) as was_waived,
    coalesce(then_found.first_run_id, last_run.run_id) as first_run_id
from known
inner join then_found using (source, rule, subject)
cross join last_run
