-- What the run that made this generation found changed, with the first twenty of each kind.
with

this_run as (
    select run_id
    from runs
    where generation = getvariable('generation')
)

select
    n.source_number,
    c.entity,
    c.change,
    count(*) as changed,
    if(
        getvariable('with_values'),
        list_sort(list([c.subject, c.before, c.after]))[:20],
        []
    ) as examples
from run_changes as c
inner join this_run as r on c.run_id = r.run_id
left join report_sources as n on c.source = n.source
group by n.source_number, c.entity, c.change
order by c.entity, c.change, n.source_number
