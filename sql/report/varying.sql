-- What varies by image within each series, of top-level attributes: path, how many values, range
-- and step. Of two thousand series at the most.
select
    s.series_number,
    list(
        [
            p.path_number::varchar,
            t.distinct_values::varchar,
            if(p.has_values, left(coalesce(t.number_min::varchar, t.value_min), 40), null),
            if(p.has_values, left(coalesce(t.number_max::varchar, t.value_max), 40), null),
            if(p.has_values, t.step::varchar, null)
        ]
        order by p.path_number
    ) as tags
from image_tags as t
inner join report_series as s on t.source = s.source and t.series_key = s.series_key
inner join report_paths as p on t.source = p.source and t.path = p.path
where not contains(t.path, '.') and s.series_number <= 2000
group by s.series_number
order by s.series_number
