with

files as not materialized (
    select * from {{ ref('files') }}
),

found as (
    select
        source,
        count(*) as files,
        count(*) filter (status = 'ok') as files_ok,
        sum(size_bytes) as size_bytes,
        max(modified_at) as newest_file_at
    from files
    group by source
),

held as (
    select
        source,
        count(distinct patient_key) as patients,
        count(distinct study_key) as studies,
        count(distinct series_key) as series,
        count(*) as images
    from {{ ref('images') }}
    group by source
)

select
    addresses.source,
    addresses.kind,
    addresses.address,
    coalesce(found.files, 0) as files,
    coalesce(found.files_ok, 0) as files_ok,
    coalesce(found.size_bytes, 0) as size_bytes,
    found.newest_file_at,
    coalesce(held.patients, 0) as patients,
    coalesce(held.studies, 0) as studies,
    coalesce(held.series, 0) as series,
    coalesce(held.images, 0) as images
from {{ source('run', 'sources') }} as addresses
left join found using (source)
left join held using (source)
