with

rules as not materialized (
    select * from {{ ref('check_rules') }}
),

limits as not materialized (
    select * from {{ ref('check_limits') }}
),

tolerances as not materialized (
    select * from {{ source('run', 'tolerances') }}
)

select
    rules.rule,
    rules.level,
    rules.theme,
    rules.severity,
    coalesce(tolerances.tolerance, rules.tolerance) as tolerance,
    rules.description
from rules
left join tolerances on rules.rule = tolerances.rule

union all

select
    limits.name as rule,
    'limit' as level,
    null as theme,
    null as severity,
    coalesce(tolerances.tolerance, limits.tolerance) as tolerance,
    limits.description
from limits
left join tolerances on limits.name = tolerances.rule
