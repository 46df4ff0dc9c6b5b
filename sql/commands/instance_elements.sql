-- The elements of one file.
select
    path,
    item,
    tag,
    vr,
    vm,
    value,
    number,
    n_bytes,
    digest
from elements
where file_id = getvariable('file_id')::bigint
