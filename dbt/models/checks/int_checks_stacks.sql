with

stacks as (
    select
        source,
        series_key,
        count(*) as stacks,
        count(*) > 1 and (min(images) >= 3 or max(images) = 1) as is_stacks,
        string_agg(plane || ' (' || images || ')', ', ' order by stack) filter (stack <= 5)
            as found,
        string_agg(distinct grouped_by, ', ' order by grouped_by) as grouped_by
    from {{ ref('series_geometry') }}
    group by source, series_key
),

side_files as (
    select
        source,
        series_key,
        list_sort(list(distinct path)) as files
    from {{ ref('int_slices') }}
    where stack > 1
    group by source, series_key
),

-- Errors only where a series ought to be a volume.
volumes as (
    select
        source,
        series_key,
        bool_or(is_volume_slice) as is_volume
    from {{ ref('int_series_images') }}
    group by source, series_key
)

{% call verdicts() %}
select
    stacks.source,
    stacks.series_key,
    rules.rule,
    stacks.stacks > 1 and stacks.is_stacks = (rules.rule = 'multiple_stacks') as is_failed,
    case when not volumes.is_volume then 'I' end as severity,
    stacks.stacks as measured,
    side_files.files,
    case
        when stacks.grouped_by is null
            then stacks.stacks || ' orientations in one series: ' || stacks.found
        else
            stacks.stacks || ' stacks in one series, told apart by '
            || stacks.grouped_by || ': ' || stacks.found
    end as message
from stacks
cross join (values ('mixed_orientation'), ('multiple_stacks')) as rules (rule)
inner join volumes using (source, series_key)
left join side_files using (source, series_key)
{% endcall %}
