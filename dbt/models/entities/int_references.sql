with

elements as (
    select
        source,
        series_key,
        file_id,
        coalesce({{ parent_path('path') }}, 'the top level') as sequence,
        item,
        keyword,
        value
    from {{ ref('stg_elements') }}
    where
        series_key is not null
        and value is not null
        and (
            keyword in ('ReferencedSOPInstanceUID', 'ReferencedSOPClassUID')
            or (keyword = 'SeriesInstanceUID' and depth > 0)
        )
),

-- Patients, visits, studies and procedure steps are managed, never stored as files (PS3.4).
managed as (
    select
        source,
        series_key,
        sequence
    from elements
    where keyword = 'ReferencedSOPClassUID'
    group by source, series_key, sequence
    having bool_and(value like '1.2.840.10008.3.1.%')
),

instances as (
    select
        source,
        series_key,
        file_id,
        sequence,
        item,
        value as uid
    from elements
    anti join managed using (source, series_key, sequence)
    where keyword = 'ReferencedSOPInstanceUID'
),

-- A series stands in an item, its instances in the items of a sequence below.
series as (
    select
        source,
        series_key,
        file_id,
        sequence,
        item,
        value as uid
    from elements
    where keyword = 'SeriesInstanceUID'
),

paired as (
    select
        coalesce(instances.source, series.source) as source,
        coalesce(instances.series_key, series.series_key) as series_key,
        coalesce(instances.file_id, series.file_id) as file_id,
        coalesce(instances.sequence, series.sequence) as sequence,
        series.uid as named_series_uid,
        instances.uid
    from instances
    full join series
        on
            instances.file_id = series.file_id
            and {{ parent_path('instances.sequence') }} = series.sequence
            and regexp_replace(instances.item, '\.[0-9]+$', '') = series.item
)

select distinct * from paired
