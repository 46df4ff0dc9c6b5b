-- Tags that tell no two images of a source apart: one value in all of them, or none in any.
-- param source: this source alone
select
    source,
    path,
    tag,
    verdict,
    commonest_value as value,
    images,
    present,
    percent_missing,
    module
from tag_profile
where
    verdict in ('constant', 'always empty')
    and source = coalesce(getvariable('source'), source)
order by source, verdict, path
