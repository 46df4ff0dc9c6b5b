-- An element counted twice for one image would leave a negative number of absent ones.
select
    source,
    level,
    entity_key,
    path
from {{ ref('int_entity_paths') }}
where absent < 0 or present + empty + absent <> images
