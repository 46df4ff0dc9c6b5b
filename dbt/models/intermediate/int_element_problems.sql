select
    file_id,
    path,
    problem,
    problem_class,
    count(*) as elements
from {{ ref('stg_elements') }}
where problem is not null
group by file_id, path, problem, problem_class
