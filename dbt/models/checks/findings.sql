with

waived as (
    select
        finding_key,
        min(line) as waiver
    from {{ ref('int_waived_findings') }}
    where state = 'active'
    group by finding_key
)

select
    found.source,
    found.level,
    found.theme,
    found.rule,
    found.severity,
    found.subject,
    found.patient_key,
    found.study_key,
    found.series_key,
    found.message,
    found.measured,
    found.tolerance,
    found.n_offenders,
    found.offenders,
    found.finding_key,
    case when standing.finding_key is null then 'new' else 'standing' end as state,
    coalesce(standing.first_run_id, this_run.run_id) as first_run_id,
    waived.waiver is not null as is_waived,
    waived.waiver
from {{ ref('int_findings') }} as found
left join {{ ref('int_standing_findings') }} as standing using (finding_key)
left join waived using (finding_key)
cross join {{ source('history', 'this_run') }} as this_run
