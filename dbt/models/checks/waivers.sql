with

covered as (
    select
        line,
        count(*) as findings
    from {{ ref('int_waived_findings') }}
    group by line
)

select
    waivers.line,
    waivers.rule,
    waivers.source,
    waivers.subject,
    waivers.reason,
    waivers.author,
    waivers.expires,
    case
        when waivers.state = 'active' and covered.findings is null then 'unmatched'
        else waivers.state
    end as state,
    waivers.problem,
    coalesce(covered.findings, 0) as findings
from {{ source('run', 'waivers') }} as waivers
left join covered using (line)
