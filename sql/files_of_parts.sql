-- What parts of the lake say of their files, a row for each folder in a part: names in their order,
-- sizes and times as texts (`filesystem.Files`); the files that could not be looked at, and those
-- that were not read in full. The variable holds the parts' files.
with

folders as (
    select
        filename,
        folder,
        list_sort(
            list({ 'name': image_name, 'size': size_bytes, 'time': epoch_us(modified_at) })
        ) as files,
        list({ 'name': image_name, 'reason': reason }) filter (
            where reason is not null and (size_bytes is null or starts_with(reason, 'not_a_file'))
        ) as problems,
        list(image_name) filter (
            where reason is not null and status in ('unreadable', 'truncated')
        ) as not_read
    from read_parquet(getvariable('files'), filename = true, hive_partitioning = false)
    group by filename, folder
)

-- To the lint, the fields of a lambda are columns.
-- noqa: disable=RF03
select
    filename,
    folder,
    array_to_string(list_transform(files, lambda file: file.name), '/') as names,
    array_to_string(
        list_transform(files, lambda file: coalesce(file.size::varchar, '-')), ' '
    ) as sizes,
    array_to_string(
        list_transform(files, lambda file: coalesce(file.time::varchar, '-')), ' '
    ) as times,
    problems,
    not_read
from folders
