-- How many images hold which value, of paths with 2 to 49 of them.
select
    p.path_number,
    list(left(v.value, 80) order by v.rank) as labels,
    list(v.images order by v.rank) as images
from tag_values as v
inner join report_paths as p on v.source = p.source and v.path = p.path
inner join tag_profile as t on v.source = t.source and v.path = t.path
where p.has_values and t.distinct_values between 2 and 49
group by p.path_number
order by p.path_number
