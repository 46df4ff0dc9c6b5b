-- What the published generation says of earlier runs, and how things stood then; its DuckDB file is
-- attached as `previous`. This run's own record is a JSON text in the variable `record`. Of a source
-- that this run forgets nothing is said any more: neither what changed in it, nor what it was called.
create schema if not exists history;

create or replace temporary macro is_forgotten(name) as
coalesce(list_contains((getvariable('record')::json -> 'forgotten')::varchar[], name), false);

-- A source was given as PATH or NAME=PATH.
create or replace temporary macro names_forgotten(text) as
is_forgotten(split_part(text, '=', 1)) or is_forgotten(list_last(string_split(rtrim(text, '/'), '/')));

create or replace table history.runs as
select * replace (
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
    list_filter(sources, lambda name: not is_forgotten(name)) as sources
)
from previous.runs;

create or replace table history.run_changes as
select * from previous.run_changes
where not is_forgotten(source);

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
where not is_forgotten(files.source);

create or replace table history.tag_levels as
select
    source,
    path,
    level
from previous.tag_levels
where not is_forgotten(source);

create or replace table history.this_run as
select
    record ->> 'run_id' as run_id,
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
