-- What the run that made this generation found changed, with the first twenty of each kind.
select
    n.source_number,
    c.entity,
    c.change,
    count(*) as changed,
    if(
        getvariable('with_values'),
        list_sort(
            list([c.subject, c.before, c.after])
        )[:20],
        []
    ) as examples
from run_changes as c
left join report_sources as n on c.source = n.source
where c.run_id = (select run_id from runs where generation = getvariable('generation'))
group by all
order by c.entity, c.change, n.source_number
