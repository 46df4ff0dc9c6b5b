with

first_run as (
    select count(*) = 0 as is_first from {{ source('history', 'runs') }}
),

then_findings as not materialized (
    select * from {{ source('history', 'findings') }}
),

now_findings as not materialized (
    select
        findings.source,
        findings.rule,
        findings.subject,
        findings.finding_key,
        case when findings.is_waived then 'waived' else findings.severity end as told,
        standing.finding_key is null as is_new,
        case when standing.was_waived then 'waived' else standing.severity_before end
            as told_before
    from {{ ref('findings') }} as findings
    left join {{ ref('int_standing_findings') }} as standing using (finding_key)
),

changes as (
    select
        source,
        rule,
        subject,
        finding_key,
        case
            when is_new then 'new'
            when told = 'waived' then 'waived'
            when told_before = 'waived' then 'unwaived'
            else 'severity'
        end as change,
        told_before as before,
        told as after
    from now_findings
    where is_new or told <> told_before

    union all

    select
        then_findings.source,
        then_findings.rule,
        then_findings.subject,
        then_findings.finding_key,
        'fixed' as change,
        case when then_findings.is_waived then 'waived' else then_findings.severity end
            as before,
        null as after
    from then_findings
    anti join {{ ref('int_standing_findings') }} as standing
        on
            then_findings.source = standing.source
            and then_findings.rule = standing.rule
            and then_findings.subject = standing.subject_before
)

select changes.*
from changes
cross join first_run
where not first_run.is_first
