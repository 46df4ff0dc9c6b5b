-- What the standard requires of images and none of them has: top-level attributes of types 1 and 2.
select
    n.source_number,
    c.information_entity,
    c.module,
    c.path,
    min(c.attribute_type) as attribute_type,
    sum(c.images)::bigint as images
from conformance as c
inner join report_sources as n on c.source = n.source
where
    c.attribute_type in ('1', '2')
    and c.usage = 'M'
    and c.information_entity <> 'File'
    and not contains(c.path, '.')
group by n.source_number, c.information_entity, c.module, c.path
having sum(c.present) = 0 and sum(c.empty) = 0
order by n.source_number, c.module, c.path
