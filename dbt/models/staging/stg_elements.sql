{{ config(materialized='view') }}

select
    source,
    Modality,
    file_id,
    patient_key,
    study_key,
    series_key,
    position,
    path,
    item,
    tag,
    keyword,
    private_creator,
    depth,
    vr,
    vr_file,
    vm,
    value,
    number,
    n_bytes,
    digest,
    problem,
    problem_class,
    structural
from {{ source('lake', 'elements') }}
