select
    source,
    path
from {{ source('lake', 'files') }}
except all
select
    source,
    path
from {{ ref('files') }}
