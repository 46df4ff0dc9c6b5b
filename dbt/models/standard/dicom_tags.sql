{{ config(materialized='view') }}

select
    path,
    tag,
    private_creator,
    keyword,
    name,
    vr,
    vm,
    is_retired
from {{ source('standard', 'dicom_tags') }}
