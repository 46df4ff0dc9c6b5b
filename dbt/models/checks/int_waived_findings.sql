select
    waivers.line,
    waivers.state,
    findings.finding_key
from {{ source('run', 'waivers') }} as waivers
inner join {{ ref('int_findings') }} as findings
    on main.waives(
        waivers.rule,
        waivers.source,
        waivers.subject,
        findings.rule,
        findings.source,
        findings.subject,
        findings.finding_key
    )
where waivers.state <> 'invalid'
