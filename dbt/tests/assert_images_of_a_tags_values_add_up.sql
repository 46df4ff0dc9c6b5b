-- What the thousand commonest values hold and what was cut make the images with a value.
select
    tag_profile.source,
    tag_profile.path
from {{ ref('tag_profile') }} as tag_profile
left join {{ ref('tag_values') }} as tag_values
    on tag_profile.source = tag_values.source and tag_profile.path = tag_values.path
group by tag_profile.source, tag_profile.path, tag_profile.present, tag_profile.distinct_values
having
    coalesce(sum(tag_values.images), 0) + coalesce(max(tag_values.cut_images), 0)
    <> tag_profile.present
    or count(tag_values.rank) + coalesce(max(tag_values.cut_values), 0)
    <> tag_profile.distinct_values
