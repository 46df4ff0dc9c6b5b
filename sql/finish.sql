-- The last of a run: what was not known while the models were built, and what was theirs alone.
update runs
set
    finished_at = (getvariable('record')::json ->> 'finished_at')::timestamptz::timestamp,
    seconds = (getvariable('record')::json -> 'seconds')::map (varchar, double)
where run_id = getvariable('record')::json ->> 'run_id';

drop schema history cascade;

-- Where a file of `files` lies, by its source and path; what is not valid UTF-8 stands there as \xNN.
create or replace macro main.absolute_path(source_name, path_below) as (
    select address || '/' || path_below
    from main.sources
    where source = source_name
);
