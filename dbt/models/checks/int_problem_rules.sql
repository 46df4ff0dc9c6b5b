-- An element may have several problems, each with a rule of its own; few come together.
with

several as (
    select
        problem,
        unnest(string_split(problem, ' ')) as code
    from {{ ref('int_element_problems') }}
    group by problem
)

select
    several.problem,
    several.code,
    problem_codes.rule
from several
inner join {{ ref('problem_codes') }} as problem_codes on several.code = problem_codes.problem
