{{ config(materialized='view') }}

select
    uid,
    name,
    kind,
    keyword,
    is_retired
from {{ source('standard', 'uids') }}
