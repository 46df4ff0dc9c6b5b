with

rules as not materialized (
    select * from {{ ref('int_check_rules') }}
    where level = 'series'
),

series as (
    select distinct
        source,
        series_key
    from {{ ref('images') }}
),

checks as (
    {{ series_verdicts() }}
)

-- A rule without a result lacked its inputs.
select
    series.source,
    series.series_key,
    rules.rule,
    case
        when checks.is_failed then 'fail'
        when not checks.is_failed then 'pass'
        else 'not_applicable'
    end as status,
    coalesce(checks.severity, rules.severity) as severity,
    checks.measured,
    rules.tolerance,
    case when checks.is_failed then checks.n_offenders else 0 end as n_offenders,
    case when checks.is_failed then coalesce(checks.offenders, []) else [] end as offenders,
    case when checks.is_failed then checks.message end as message
from series
cross join rules
left join checks
    on
        series.source = checks.source
        and series.series_key = checks.series_key
        and rules.rule = checks.rule
