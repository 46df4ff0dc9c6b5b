-- The catalogue: every path of every source, with what the standard says of it. Of several IODs
-- that have it in its module the page is shown of the one most images are of.
with

iods as (
    select
        iod,
        sum(images) as images
    from intermediate.int_series_iods
    group by iod
),

pages as (
    select
        a.path,
        a.module,
        arg_min(a.link_innolitics, (-i.images, a.link_innolitics)) as link_innolitics
    from module_attributes as a
    inner join iods as i on a.iod = i.iod
    group by a.path, a.module
)

select
    p.path_number,
    n.source_number,
    t.path,
    t.tag,
    d.name,
    t.vr,
    d.vm,
    t.information_entity,
    t.module,
    t.attribute_type,
    g.link_innolitics,
    t.images,
    t.present,
    t.empty,
    t.absent,
    t.invalid,
    t.percent_missing,
    t.distinct_values,
    t.verdict,
    t.is_constant,
    l.level,
    l.standard_level,
    l.contradicting_entities,
    if(p.has_values, [left(example, 80) for example in t.examples], null) as examples,
    if(p.has_values, t.number_min, null) as number_min,
    if(p.has_values, t.number_max, null) as number_max,
    if(p.has_values, t.number_mean, null) as number_mean
from tag_profile as t
inner join report_paths as p on t.source = p.source and t.path = p.path
inner join report_sources as n on t.source = n.source
left join tag_levels as l on t.source = l.source and t.path = l.path
left join dicom_tags as d on d.path = if(starts_with(t.path, '('), t.path, t.keyword)
left join pages as g on t.path = g.path and t.module = g.module
order by p.path_number
