-- Lines of a waivers' list that cover nothing: expired ones, those that match no finding, and those
-- that cannot be read. Without a list, those of the one that the warehouse was built with.
with

listed as (
    select
        line,
        rule,
        case
            when
                state = 'active'
                and line not in (
                    select waived.line from waived_findings(getvariable('waivers')) as waived
                )
                then 'unmatched'
            else state
        end as state,
        problem
    from waivers_in(getvariable('waivers'), current_date)

    union all

    select
        line,
        rule,
        case when expires < current_date then 'expired' else state end as state,
        problem
    from waivers
    where getvariable('waivers') is null
)

select
    line,
    rule,
    state,
    problem
from listed
where state <> 'active'
order by line
