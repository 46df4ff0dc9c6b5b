with

slices as not materialized (
    select * from {{ ref('int_crowded_slices') }}
),

-- The numbers of the first, second, ... image at each position ought to go one way.
numbered as (
    select
        source,
        series_key,
        stack,
        path,
        label,
        InstanceNumber::hugeint - lag(InstanceNumber) over (
            partition by source, series_key, stack, repeat order by slot
        ) as rise
    from slices
    where InstanceNumber is not null and not is_multiframe and is_even
),

directions as (
    select
        source,
        series_key,
        stack,
        count(rise) as rises,
        count(*) filter (rise > 0) >= count(*) filter (rise < 0) as is_rising
    from numbered
    group by source, series_key, stack
),

turns as (
    select
        numbered.source,
        numbered.series_key,
        numbered.stack,
        count(*) as images,
        list_sort(list(distinct numbered.path)) as files,
        min(numbered.label) as first_one
    from numbered
    inner join directions using (source, series_key, stack)
    where (numbered.rise > 0) <> directions.is_rising or numbered.rise = 0
    group by numbered.source, numbered.series_key, numbered.stack
),

stacks as (
    select
        geometry.source,
        geometry.series_key,
        geometry.stack,
        geometry.positions,
        directions.rises,
        coalesce(turns.images, 0) as turns,
        turns.files as turn_files,
        turns.first_one as first_turn
    from {{ ref('series_geometry') }} as geometry
    left join directions using (source, series_key, stack)
    left join turns using (source, series_key, stack)
)

{{ stack_check(
    rule='instance_order_not_spatial', relation='stacks', applies='rises > 1 and positions > 2',
    fails='turns > 0',
    measured='turns',
    files='turn_files',
    message="'InstanceNumber neither rises nor falls with the position: it turns at '"
        ~ " || first_turn || "
        ~ and_more('turns', 'image'),
) }}
