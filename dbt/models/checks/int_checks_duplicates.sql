with

repeated as not materialized (
    select * from {{ ref('int_repeated_instances') }}
),

series as (
    select distinct
        source,
        series_key
    from {{ ref('images') }}
),

copies as (
    select
        source,
        series_key,
        count(*) filter (is_copy) as copies,
        min(path, 20) filter (is_copy) as paths
    from repeated
    group by source, series_key
),

-- What was not read tells nothing: neither that files differ nor that they do not.
judged as (
    select
        *,
        max(content_but_unread) over in_instance > 1
        or coalesce(
            max(content) filter (not is_unread) over in_instance
            > min(content) filter (not is_unread) over in_instance,
            false
        ) as is_conflict
    from repeated
    window in_instance as (partition by source, series_key, SOPInstanceUID)
),

conflicts as (
    select
        source,
        series_key,
        count(distinct SOPInstanceUID) as instances,
        count(*) as files,
        min(path, 20) as paths
    from judged
    where is_conflict and not is_copy
    group by source, series_key
),

unread as (
    select
        source,
        series_key,
        count(*) as files,
        min(path, 20) as paths
    from judged
    where is_unread
    group by source, series_key
)

{% call verdicts() %}
select
    series.source,
    series.series_key,
    'duplicate_instance_identical' as rule,
    copies.copies as n_offenders,
    copies.paths as files,
    {{ count_of('copies.copies', 'file') }}
    || ' set aside: an instance again, with equal elements and pixels' as message
from series
left join copies using (source, series_key)

union all by name

select
    series.source,
    series.series_key,
    'duplicate_instance_conflict' as rule,
    coalesce(conflicts.instances, 0) as measured,
    conflicts.files as n_offenders,
    conflicts.paths as files,
    {{ count_of('conflicts.instances', 'SOPInstanceUID') }} || ' for ' || conflicts.files
    || ' files that differ in elements, pixels, size or transfer syntax' as message
from series
left join conflicts using (source, series_key)

union all by name

select
    series.source,
    series.series_key,
    'duplicate_instance_not_compared' as rule,
    unread.files as n_offenders,
    unread.paths as files,
    {{ count_of('unread.files', 'file') }}
    || ' of instances that stand more than once: '
    || 'pixels or long values were not read, so whether they are equal is not known' as message
from series
left join unread using (source, series_key)
{% endcall %}
