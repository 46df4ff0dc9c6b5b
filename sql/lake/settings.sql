-- What a run sets: a row for each rule whose default tolerance it replaces, and one for each file
-- that was found to hold something else although size and time are the same.
create schema if not exists run;

create or replace table run.tolerances (rule varchar primary key, tolerance double not null);

create or replace table run.other_contents (source varchar not null, path varchar not null);

-- Where the sources of the lake lie, those too that this run leaves as they are.
create or replace table run.sources as
select
    key as source,
    value ->> '$' as address,
    case
        when list_contains(json_keys(getvariable('record')::json -> 'lists'), key) then 'list'
        when contains(address, '://') then 'object store'
        when regexp_matches(address, '\.(zip|tar|tar\.gz|tgz)$', 'i') then 'archive'
        else 'folder'
    end as kind
from json_each(getvariable('record')::json -> 'sources');
