with

path_values as not materialized (
    select * from {{ ref('int_series_path_values') }}
    where not is_empty
),

repeated as not materialized (
    select * from {{ ref('int_repeated_identifiers') }}
),

repeating as (
    select distinct
        path_values.source,
        path_values.series_key,
        path_values.path
    from path_values
    inner join repeated using (source, path, value_key)
),

held as (
    select distinct
        source,
        series_key,
        path
    from {{ ref('int_lineage_paths') }}
    where present > 0
),

-- A folder that bears the PatientID says no more than the images do.
named_folders as (
    select distinct
        images.source,
        images.series_key,
        'folder' as path,
        true as is_repeating
    from {{ ref('images') }} as images
    inner join repeated
        on
            images.source = repeated.source
            and repeated.path = 'folder'
            and images.folder = repeated.value_key
    where not list_contains(repeated.identifiers, 'PatientID')
)

select
    held.*,
    repeating.path is not null as is_repeating
from held
left join repeating using (source, series_key, path)

union all

select * from named_folders
