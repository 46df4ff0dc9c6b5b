-- The run before a generation's, or the one that is asked for by its id or its generation.
select
    run_id,
    generation
from runs
where
    case
        when getvariable('run') = 'last' then generation < getvariable('generation')
        else getvariable('run') in (run_id, generation::varchar)
    end
order by generation desc
limit 1
