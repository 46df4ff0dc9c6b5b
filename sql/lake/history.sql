-- What the published generation says of earlier runs, and how things stood then; its DuckDB file is
-- attached as `previous`. This run's own record is a JSON text in the variable `record`. Of a
-- source that this run forgets nothing is said any more: neither what changed, nor its name.
create schema if not exists history;

create or replace temporary macro forgotten() as
coalesce((getvariable('record')::json -> 'forgotten')::varchar[], []);

-- A source was given as PATH or NAME=PATH.
create or replace temporary macro names_forgotten(given) as
list_contains(forgotten(), split_part(given, '=', 1))
or list_contains(forgotten(), list_last(string_split(rtrim(given, '/'), '/')));

create or replace table history.runs as
with known as (
    select * from previous.runs
    union all by name
    select null::varchar as failure  -- earlier releases noted no failed runs
    where false
)

select
    * replace (
        json_merge_patch(
            parameters::json,
            json_object(
                'sources',
                list_filter(
                    (parameters::json -> 'sources')::varchar[],
                    lambda given: not names_forgotten(given)
                ),
                'forget',
                null
            )
        )::varchar as parameters,
        list_filter(sources, lambda name: not list_contains(forgotten(), name)) as sources,
        case when len(forgotten()) = 0 then failure end as failure
    )
from known;

-- Those that failed since then.
create or replace table history.failed_runs as
select
    failed ->> 'run_id' as run_id,
    (failed ->> 'started_at')::timestamptz::timestamp as started_at,
    (failed ->> 'finished_at')::timestamptz::timestamp as finished_at,
    failed ->> 'dicomhouse' as dicomhouse,
    failed ->> 'failure' as failure
from (
    select unnest((getvariable('record')::json -> 'failed')::json[]) as failed
) as told;

create or replace table history.run_changes as
with known as (
    select * from previous.run_changes
    union all by name
    select  -- earlier releases told no findings
        null::varchar as rule,
        null::varchar as finding_key
    where false
)

select * from known
where not list_contains(forgotten(), source);

create or replace table history.files as
select
    files.source,
    files.path,
    files.size_bytes,
    files.modified_at,
    files.status,
    files.reason,
    images.series_key
from previous.files as files
left join previous.images as images
    on files.file_id = images.file_id
where not list_contains(forgotten(), files.source);

create or replace table history.tag_levels as
select
    source,
    path,
    level
from previous.tag_levels
where not list_contains(forgotten(), source);

create or replace table history.findings as
with known as (
    select * from previous.findings
    union all by name
    select
        null::varchar as finding_key,  -- earlier releases gave findings no key
        null::varchar as first_run_id,
        null::boolean as is_waived
    where false
)

select
    finding_key,
    first_run_id,
    source,
    rule,
    subject,
    severity,
    is_waived
from known
where not list_contains(forgotten(), source);

create or replace table history.this_run as
select
    record ->> 'run_id' as run_id,
    record ->> 'salt' as salt,
    (record ->> 'generation')::bigint as generation,
    (record ->> 'started_at')::timestamptz::timestamp as started_at,
    (record ->> 'finished_at')::timestamptz::timestamp as finished_at,
    record ->> 'dicomhouse' as dicomhouse,
    record ->> 'extractor' as extractor,
    record ->> 'dictionary' as dictionary,
    record ->> 'models' as models,
    (record -> 'reasons')::varchar[] as reasons,
    (record -> 'settings')::varchar as parameters,
    json_keys(record -> 'sources') as sources,
    (record ->> '$.drift.new')::bigint as files_new,
    (record ->> '$.drift.changed')::bigint as files_changed,
    (record ->> '$.drift.gone')::bigint as files_gone,
    list_sum(map_values((record -> 'files')::map (varchar, bigint)))::bigint as files,
    (record ->> 'images')::bigint as images,
    (record ->> 'elements')::bigint as elements,
    (record ->> 'lake_bytes')::bigint as lake_bytes,
    (record ->> 'parts')::bigint as parts,
    (record -> 'seconds')::map (varchar, double) as seconds
from (select getvariable('record')::json as record) as told;
