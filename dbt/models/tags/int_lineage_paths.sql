-- Counted for each lineage once, before they are added up in five ways.
select
    source,
    Modality,
    patient_key,
    study_key,
    series_key,
    path,
    count(value_key) as distinct_values,
    coalesce(sum(images) filter (not is_empty), 0)::bigint as present,
    coalesce(sum(images) filter (is_empty), 0)::bigint as empty,
    sum(invalid_images)::bigint as invalid,
    coalesce(sum(images) filter (varies_in_image), 0)::bigint as varying_images,
    bool_or(is_unread) as has_unread,
    min(value) as value_min,
    max(value) as value_max,
    min(number_min) as number_min,
    max(number_max) as number_max,
    min(tag) as tag,
    max(vm) as vm
from {{ ref('int_series_path_values') }}
group by source, Modality, patient_key, study_key, series_key, path
