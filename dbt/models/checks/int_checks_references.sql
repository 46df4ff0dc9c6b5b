with

images as not materialized (
    select
        source,
        series_key,
        SeriesInstanceUID,
        SOPInstanceUID,
        Modality,
        file_id,
        path
    from {{ ref('images') }}
),

elements as (
    select
        source,
        series_key,
        file_id,
        case when depth > 0 then {{ parent_path('path') }} else 'the top level' end
            as sequence,
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
    select distinct
        source,
        SOPInstanceUID as uid
    from images
    where SOPInstanceUID is not null
),

referred as (
    select
        elements.source,
        elements.series_key,
        elements.sequence,
        elements.value as uid,
        images.path,
        -- What cannot be used without the images that it refers to.
        images.Modality in ('RTSTRUCT', 'RTPLAN', 'RTDOSE', 'SEG', 'PR', 'SR') as is_dependent,
        instances.uid is not null as is_here
    from elements
    inner join images on elements.file_id = images.file_id
    left join managed
        on
            elements.source = managed.source
            and elements.series_key = managed.series_key
            and elements.sequence = managed.sequence
    left join instances
        on elements.source = instances.source and elements.value = instances.uid
    where elements.keyword = 'ReferencedSOPInstanceUID' and managed.sequence is null
),

sequences as (
    select
        source,
        series_key,
        sequence || ' (' || count(distinct uid) filter (not is_here) || ' of '
        || count(distinct uid) || ')' as words
    from referred
    group by source, series_key, sequence
    having not bool_and(is_here)
),

words as (
    select
        source,
        series_key,
        string_agg(words, ', ' order by words) as sequences
    from sequences
    group by source, series_key
),

-- Part of a referenced series is here: one of the instances, or others of a series it names.
named_series as (
    select distinct
        elements.source,
        elements.series_key
    from elements
    inner join images
        on elements.source = images.source and elements.value = images.SeriesInstanceUID
    where elements.keyword = 'SeriesInstanceUID' and elements.series_key <> images.series_key
),

counted as (
    select
        source,
        series_key,
        coalesce(bool_or(is_dependent), false) as is_dependent,
        bool_or(is_here) as has_some,
        count(distinct uid) as instances,
        count(distinct uid) filter (not is_here) as missing,
        count(distinct path) filter (not is_here) as n_offenders,
        list_sort(list(distinct path) filter (not is_here))[1:20] as offenders
    from referred
    group by source, series_key
)

{% call verdicts() %}
select
    counted.source,
    counted.series_key,
    'reference_unresolved' as rule,
    case
        when counted.is_dependent and (counted.has_some or named_series.series_key is not null)
            then 'W'
    end as severity,
    counted.missing as measured,
    counted.n_offenders,
    counted.offenders as files,
    counted.missing || ' of ' || {{ count_of('counted.instances', 'referenced instance') }}
    || ' not in this source, referred to at ' || words.sequences as message
from counted
left join words using (source, series_key)
left join named_series using (source, series_key)
{% endcall %}
