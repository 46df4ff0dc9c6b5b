-- Runs of steps that each lie within the tolerance of their run's lower median. Most stacks are
-- one run; only the others are walked step by step, which costs the square of their length: the
-- longest have no runs. (The linter knows no lambda.)
{%- set longer = 'list_append(walked.steps, next.steps[1])' -%}
{%- set middle = "list_aggregate(" ~ longer ~ ", 'quantile_disc', 0.5)" %}

with

steps as (
    select
        source,
        series_key,
        stack,
        slot,
        step,
        {{ tolerance('mixed_spacing') }} as relative,
        {{ tolerance('mixed_spacing.run_mm') }} as absolute,
        {{ tolerance('mixed_spacing.steps') }} as most
    from {{ ref('int_stack_steps') }}
    where step is not null
),

stacks as (
    select
        source,
        series_key,
        stack,
        list(slot order by slot) as slots,
        list(step order by slot) as steps,
        max(step) - quantile_disc(step, 0.5) as above,
        quantile_disc(step, 0.5) - min(step) as below,
        greatest(any_value(relative) * quantile_disc(step, 0.5), any_value(absolute)) as allowed,
        any_value(relative) as relative,
        any_value(absolute) as absolute,
        any_value(most) as most
    from steps
    group by source, series_key, stack
),

walked as (
    select
        source,
        series_key,
        stack,
        slots,
        case -- noqa: PRS, LT02
            when greatest(above, below) <= allowed then [1 for slot in slots]
            when len(steps) > most then [null for slot in slots]
            else
                list_reduce(
                    [{'steps': [step], 'runs': [1]} for step in steps],
                    lambda walked, next:
                        case
                            when
                                greatest(
                                    list_max({{ longer }}) - {{ middle }},
                                    {{ middle }} - list_min({{ longer }})
                                ) <= greatest(relative * {{ middle }}, absolute)
                                then
                                    {
                                        'steps': {{ longer }},
                                        'runs': list_append(walked.runs, walked.runs[-1])
                                    }
                            else
                                {
                                    'steps': next.steps,
                                    'runs': list_append(walked.runs, walked.runs[-1] + 1)
                                }
                        end
                ).runs
        end as runs
    from stacks
)

select
    source,
    series_key,
    stack,
    unnest(slots) as slot,
    unnest(runs) as run
from walked
