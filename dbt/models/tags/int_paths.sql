-- A path has one VR and tag nearly always; elsewhere the one of most images stands for it.
with

path_values as not materialized (
    select * from {{ ref('int_series_path_values') }}
),

forms as (
    select
        source,
        path,
        tag,
        vr,
        sum(images) as images
    from path_values
    group by source, path, tag, vr
),

attributes as not materialized (
    select
        tag,
        keyword
    from {{ source('standard', 'attributes') }}
),

-- An attribute of a repeating group (60xx0010) stands for the tags of each.
repeating as (
    select
        replace(tag, 'x', '_') as tags,
        keyword
    from attributes
    where contains(tag, 'x')
),

chosen as (
    select
        source,
        path,
        tag,
        vr
    from forms
    qualify row_number() over (partition by source, path order by images desc, vr, tag) = 1
)

select
    chosen.source,
    chosen.path,
    chosen.tag,
    coalesce(attributes.keyword, repeating.keyword) as keyword,
    coalesce(repeating.keyword, chosen.path) as standard_path,
    chosen.vr
from chosen
left join attributes on chosen.tag = attributes.tag
left join repeating on chosen.path like repeating.tags
