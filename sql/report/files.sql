-- Files that hold no image or were not read in full, by what they are; the first twenty of each.
select
    n.source_number,
    f.status,
    if(getvariable('with_values'), f.reason, null) as reason,
    count(*) as files,
    if(getvariable('with_values'), list_sort(list(f.path))[:20], []) as paths
from files as f
inner join report_sources as n on f.source = n.source
where f.status <> 'ok'
group by all
order by n.source_number, files desc, f.status, reason
limit 500
