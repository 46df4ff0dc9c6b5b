with

path_values as (
    {{ in_scopes(ref('int_series_path_values'), ['*']) }}
)

select
    source,
    scope,
    path,
    value_key,
    is_empty,
    min(value) as value,
    min(number_min) as number_min,
    max(number_max) as number_max,
    min(number_mean) as number_mean,
    sum(images)::bigint as images,
    count(distinct series_key) as series,
    count(distinct patient_key) as patients
from path_values
group by source, scope, path, value_key, is_empty
