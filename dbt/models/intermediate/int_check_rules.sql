with

rules as (
    select * from {{ ref('check_rules') }}
),

tolerances as (
    select * from {{ source('run', 'tolerances') }}
)

select
    rules.rule,
    rules.level,
    rules.severity,
    coalesce(tolerances.tolerance, rules.tolerance) as tolerance,
    rules.description
from rules
left join tolerances on rules.rule = tolerances.rule
