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

refers as not materialized (
    select * from {{ ref('int_references') }}
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
        refers.source,
        refers.series_key,
        refers.sequence,
        refers.uid,
        images.path,
        -- What cannot be used without the images that it refers to.
        images.Modality in ('RTSTRUCT', 'RTPLAN', 'RTDOSE', 'SEG', 'PR', 'SR') as is_dependent,
        instances.uid is not null as is_here
    from refers
    inner join images on refers.file_id = images.file_id
    left join instances on refers.source = instances.source and refers.uid = instances.uid
    where refers.uid is not null
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
        refers.source,
        refers.series_key
    from refers
    inner join images
        on
            refers.source = images.source
            and refers.named_series_uid = images.SeriesInstanceUID
    where refers.series_key <> images.series_key
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
