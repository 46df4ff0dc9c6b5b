with

first_run as (
    select count(*) = 0 as is_first from {{ source('history', 'runs') }}
),

then_files as not materialized (
    select * from {{ source('history', 'files') }}
),

now_files as (
    select
        files.source,
        files.path,
        files.size_bytes,
        files.modified_at,
        files.status,
        files.reason,
        images.series_key
    from {{ ref('files') }} as files
    left join {{ ref('images') }} as images using (file_id)
),

other_contents as not materialized (
    select * from {{ source('run', 'other_contents') }}
)

select
    coalesce(now_files.source, then_files.source) as source,
    coalesce(now_files.path, then_files.path) as path,
    case
        when then_files.path is null then 'added'
        when now_files.path is null then 'removed'
        else 'changed'
    end as change,
    then_files.status as status_before,
    now_files.status as status_after,
    then_files.series_key as series_key_before,
    now_files.series_key as series_key_after
from now_files
full join then_files using (source, path)
left join other_contents using (source, path)
cross join first_run
where
    not first_run.is_first
    and (
        now_files.path is null
        or then_files.path is null
        or other_contents.path is not null
        or now_files.size_bytes is distinct from then_files.size_bytes
        or now_files.modified_at is distinct from then_files.modified_at
        or now_files.status <> then_files.status
        or now_files.reason is distinct from then_files.reason
    )
