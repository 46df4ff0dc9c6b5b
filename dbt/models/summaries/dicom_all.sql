{{ config(materialized='view') }}

select
    source as collection_id,
    size_bytes as instance_size,
    * exclude (
        source,
        size_bytes,
        path,
        folder,
        patient_folder,
        image_name,
        modified_at,
        status,
        patient_key,
        study_key,
        series_key,
        pixel_bytes,
        expected_pixel_bytes,
        age_years,
        age_from
    )
from {{ ref('images') }}
