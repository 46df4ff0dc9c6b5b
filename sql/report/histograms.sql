-- How the numbers of paths with more than 49 values are spread: images in 24 bins of equal width.
with

numbers as (
    select
        p.path_number,
        v.number_min as number,
        v.images
    from intermediate.int_source_path_values as v
    inner join report_paths as p on v.source = p.source and v.path = p.path
    inner join tag_profile as t on v.source = t.source and v.path = t.path
    where
        p.has_values
        and v.scope = '(all)'
        and not v.is_empty
        and isfinite(v.number_min)
        and t.vr <> 'SQ'
        and t.distinct_values > 49
),

ranges as (
    select
        path_number,
        min(number) as least,
        max(number) as most
    from numbers
    group by path_number
    having least < most
),

bins as (
    select
        n.path_number,
        r.least,
        r.most,
        least(floor(24 * (n.number - r.least) / (r.most - r.least)), 23)::integer as bin,
        sum(n.images)::bigint as images
    from numbers as n
    inner join ranges as r on n.path_number = r.path_number
    group by all
)

select
    path_number,
    least,
    most,
    list([bin, images] order by bin) as bins
from bins
group by path_number, least, most
order by path_number
