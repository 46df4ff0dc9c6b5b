-- A series fails where one of its stacks does.
with

stack_checks as (
    select * from {{ ref('int_stack_checks_repetition') }}
    union all
    select * from {{ ref('int_stack_checks_order') }}
    union all
    select * from {{ ref('int_stack_checks_spacing') }}
    union all
    select * from {{ ref('int_stack_checks_line') }}
),

stack_files as (
    select
        source,
        series_key,
        stack,
        list(distinct path) as files
    from {{ ref('int_slices') }}
    group by source, series_key, stack
),

-- A check without files of its own is about its stack as a whole.
checks as (
    select
        stack_checks.*,
        coalesce(stack_checks.files, stack_files.files) as offending_files,
        count(*) over (
            partition by stack_checks.source, stack_checks.series_key, stack_checks.rule
        ) as stacks
    from stack_checks
    left join stack_files
        on
            stack_checks.source = stack_files.source
            and stack_checks.series_key = stack_files.series_key
            and stack_checks.stack = stack_files.stack
            and stack_checks.is_failed
),

folded as (
    select
        source,
        series_key,
        rule,
        bool_or(is_failed) as is_failed,
        -- A stack at the rule's own severity outweighs one at a lower.
        case
            when bool_and(severity is not null) filter (is_failed)
                then max(severity) filter (is_failed)
        end as severity,
        case
            when rule = 'missing_slices' then sum(measured)
            else coalesce(
                arg_max(measured, (abs(measured), measured)) filter (is_failed),
                arg_max(measured, (abs(measured), measured))
            )
        end as measured,
        list_sort(list_distinct(coalesce(flatten(list(offending_files) filter (is_failed)), [])))
            as files,
        string_agg(
            case when stacks > 1 then 'stack ' || stack || ': ' else '' end || message,
            '; '
            order by stack
        ) filter (is_failed and stack <= 20) as message
    from checks
    group by source, series_key, rule
)

select
    source,
    series_key,
    rule,
    is_failed,
    severity,
    measured,
    len(files) as n_offenders,
    files[1:20] as offenders,
    message
from folded
