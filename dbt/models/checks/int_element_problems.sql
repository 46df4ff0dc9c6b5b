-- Few elements have one: those of the lake are looked through for it once.
select
    file_id,
    path,
    problem,
    count(*) as elements
from {{ ref('stg_elements') }}
where problem is not null
group by file_id, path, problem
