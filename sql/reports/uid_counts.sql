-- How many studies, series, images and frames of reference hang below each patient and study.
-- param source: this source alone
with

images as (
    select * from main.images
    where source = coalesce(getvariable('source'), source)
),

counted as (
    select
        source,
        'patient' as parent,
        unnest(['study', 'series', 'image', 'frame of reference']) as child,
        unnest([
            count(distinct study_key),
            count(distinct series_key),
            count(*),
            count(distinct FrameOfReferenceUID)
        ]) as children
    from images
    group by source, patient_key

    union all

    select
        source,
        'study' as parent,
        unnest(['series', 'image']) as child,
        unnest([count(distinct series_key), count(*)]) as children
    from images
    group by source, study_key

    union all

    select
        source,
        'series' as parent,
        'image' as child,
        count(*) as children
    from images
    group by source, series_key
),

summed as (
    select
        source,
        parent,
        child,
        count(*) as parents,
        min(children) as fewest,
        median(children) as median,
        max(children) as most,
        sum(children)::bigint as children,
        count(*) filter (children = 1) as parents_with_one
    from counted
    group by source, parent, child
)

select
    source,
    concat(
        case
            when fewest = 1 and most = 1 then 'one'
            when fewest = most then fewest::varchar
            else concat(fewest, ' to ', most)
        end,
        ' ',
        case
            when most = 1 or child = 'series' then child
            when child = 'study' then 'studies'
            when child = 'frame of reference' then 'frames of reference'
            else child || 's'
        end,
        ' per ', parent
    ) as relation,
    parents,
    children,
    fewest,
    median,
    most,
    parents_with_one
from summed
order by
    source,
    array_position(['patient', 'study', 'series'], parent),
    array_position(['study', 'series', 'image', 'frame of reference'], child)
