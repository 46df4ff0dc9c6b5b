select * from {{ source('history', 'runs') }}
union all by name
select * from {{ source('history', 'failed_runs') }}
union all by name
select * exclude (salt) from {{ source('history', 'this_run') }}
