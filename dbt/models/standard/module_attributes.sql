{{ config(materialized='view') }}

select
    iod,
    module,
    usage,
    information_entity,
    path,
    tag,
    keyword,
    name,
    vr,
    vm,
    is_retired,
    attribute_type,
    link_standard,
    link_innolitics
from {{ source('standard', 'module_attributes') }}
