-- The catalogue: every path of every source, with its verdict and up to five examples.
select
    source,
    path,
    vr,
    module,
    attribute_type,
    verdict,
    percent_missing,
    distinct_values,
    [left(example, 60) for example in examples] as examples
from tag_profile
order by source, path
limit 5000
