-- Tags whose value never changes in a source: one in all images that have one, or none in any.
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
    state,
    module
from tag_profile
where
    verdict in ('constant', 'always empty')
    and source = coalesce(getvariable('source'), source)
order by source, verdict, path
