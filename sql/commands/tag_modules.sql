-- Where the standard puts a tag: one row per module and nesting, with the IODs that have it so and
-- the pages of one of them. The parameter `tag` is GGGGEEEE, `iods` the IODs asked for (all when
-- empty), `known_iods` those whose pages are shown rather than others'.
with

attributes as (
    select
        *,
        row_number() over (
            partition by module, usage, information_entity, attribute_type, path
            order by
                list_contains(getvariable('known_iods'), iod) desc, iod = 'ct-image' desc, iod
        ) as place,
        list_contains(getvariable('known_iods'), iod) as is_known
    from standard.module_attributes
    where
        getvariable('tag') like replace(tag, 'x', '_')
        and (len(getvariable('iods')) = 0 or list_contains(getvariable('iods'), iod))
)

select
    module,
    usage,
    information_entity,
    attribute_type,
    path,
    list(iod order by place) as iods,
    min(link_standard) as link_standard,
    min(link_innolitics) filter (place = 1) as link_innolitics
from attributes
group by module, usage, information_entity, attribute_type, path
order by
    contains(path, '.'), bool_or(is_known) desc, count(*) desc, len(path), module, usage,
    path, attribute_type, information_entity
