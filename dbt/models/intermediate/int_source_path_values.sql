with

scopes as (
    select * from {{ ref('int_scopes') }}
),

path_values as (
    select
        scopes.scope,
        path_values.*
    from {{ ref('int_series_path_values') }} as path_values
    inner join scopes
        on
            path_values.source = scopes.source
            and path_values.Modality is not distinct from scopes.Modality
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
