-- What varies within a series, and what some of its images lack.
select
    varying.path,
    varying.state,
    varying.distinct_values,
    tags.number_min,
    tags.number_max,
    tags.step,
    varying.images,
    varying.present,
    varying.empty,
    varying.absent
from intermediate.int_entity_paths as varying
left join image_tags as tags
    on
        varying.source = tags.source
        and varying.entity_key = tags.series_key
        and varying.path = tags.path
where
    varying.level = 'series'
    and varying.scope = '(all)'
    and varying.source = getvariable('source')
    and varying.entity_key = getvariable('series_key')
    and varying.state in ('varies', 'constant_where_present')
    and len(
        list_filter(
            getvariable('ignored'),
            lambda x: contains('.' || varying.path || '.', '.' || x || '.')
        )
    ) = 0
order by varying.path
