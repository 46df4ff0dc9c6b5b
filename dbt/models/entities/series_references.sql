with

images as not materialized (
    select
        source,
        series_key,
        file_id,
        Modality,
        SeriesInstanceUID,
        SOPInstanceUID
    from {{ ref('images') }}
),

-- A duplicate stands once; an instance in two series, which is a finding, in the first.
instances as (
    select
        source,
        SOPInstanceUID as uid,
        min(series_key) as series_key
    from images
    where SOPInstanceUID is not null
    group by source, SOPInstanceUID
),

series as (
    select
        source,
        series_key,
        min(SeriesInstanceUID) as SeriesInstanceUID,
        min(Modality) as Modality
    from images
    group by source, series_key
),

-- Where a file names the series of an instance once, it is known wherever else it refers to it.
named_instances as (
    select
        source,
        file_id,
        uid,
        min(named_series_uid) as named_series_uid
    from {{ ref('int_references') }}
    where named_series_uid is not null and uid is not null
    group by source, file_id, uid
),

named as (
    select
        r.* exclude (named_series_uid),
        coalesce(r.named_series_uid, n.named_series_uid) as named_series_uid
    from {{ ref('int_references') }} as r
    left join named_instances as n using (source, file_id, uid)
),

referred as (
    select
        r.source,
        r.series_key,
        r.file_id,
        r.sequence,
        r.uid,
        instances.uid is not null as is_here,
        coalesce(instances.series_key, told.series_key) as referenced_series_key,
        coalesce(r.named_series_uid, held.SeriesInstanceUID) as referenced_series_uid
    from named as r
    left join instances on r.source = instances.source and r.uid = instances.uid
    left join series as held
        on instances.source = held.source and instances.series_key = held.series_key
    left join series as told
        on r.source = told.source and r.named_series_uid = told.SeriesInstanceUID
),

counted as (
    select
        source,
        series_key,
        sequence,
        referenced_series_uid,
        min(referenced_series_key) as referenced_series_key,
        count(distinct file_id) as images,
        count(distinct uid) as instances,
        count(distinct uid) filter (is_here) as instances_here
    from referred
    group by source, series_key, sequence, referenced_series_uid
),

kinds as (
    select
        sequences.sequence,
        kinds.kind
    from (select distinct counted.sequence from counted) as sequences
    inner join {{ ref('reference_kinds') }} as kinds
        on list_contains(string_split(sequences.sequence, '.'), kinds.keyword)
    qualify row_number() over (partition by sequences.sequence order by kinds.place) = 1
)

select
    counted.source,
    counted.series_key,
    series.Modality,
    counted.sequence,
    coalesce(kinds.kind, 'other') as kind,
    counted.referenced_series_uid,
    counted.referenced_series_key,
    referenced.Modality as referenced_modality,
    counted.images,
    counted.instances,
    counted.instances_here,
    counted.referenced_series_key is not null
    and counted.instances_here = counted.instances as is_resolved
from counted
inner join series using (source, series_key)
left join series as referenced
    on
        counted.source = referenced.source
        and counted.referenced_series_key = referenced.series_key
left join kinds using (sequence)
