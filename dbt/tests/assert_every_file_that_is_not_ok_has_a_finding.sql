select
    source,
    path
from {{ ref('files') }}
where status <> 'ok'
except all
select
    source,
    subject
from {{ ref('findings') }}
where level = 'file'
