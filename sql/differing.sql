-- Files whose rows in `files` and `elements` (all that is read from a file stands there) differ
-- between some parts and a lake that read the same files again. Of `files`, what depends on the
-- run alone is left out. The variables hold the parts' files, and the lake's globs.
with

files_before as (
    select * exclude (run_id)
    from read_parquet(
        getvariable('files_before'),
        hive_partitioning = true,
        hive_types = { 'source': varchar }
    )
),

files_now as (
    select * exclude (run_id)
    from read_parquet(
        getvariable('files_now'),
        hive_partitioning = true,
        hive_types = { 'source': varchar }
    )
),

elements_before as (
    select
        elements.file_id,
        bit_xor(hash(elements)) as digest
    from read_parquet(getvariable('elements_before'), hive_partitioning = false) as elements
    group by elements.file_id
),

elements_now as (
    select
        elements.file_id,
        bit_xor(hash(elements)) as digest
    from read_parquet(getvariable('elements_now'), hive_partitioning = false) as elements
    group by elements.file_id
)

select
    files_before.source,
    files_before.path
from files_before
left join files_now
    on files_before.file_id = files_now.file_id
left join elements_before
    on files_before.file_id = elements_before.file_id
left join elements_now
    on files_before.file_id = elements_now.file_id
where
    hash(files_before) <> hash(files_now)
    or elements_before.digest is distinct from elements_now.digest
