-- What a warehouse holds at a tag, top level first, with the commonest values. The parameter `path`
-- is that of a private tag with its creator, else `tag` is GGGGEEEE, with _ for any digit.
select
    profile.source,
    profile.path,
    profile.vr,
    profile.images,
    profile.present,
    profile.empty,
    profile.absent,
    profile.invalid,
    profile.percent_missing,
    profile.distinct_values,
    profile.number_min,
    profile.number_max,
    profile.number_mean,
    profile.verdict,
    coalesce(
        (
            select
                list(
                    struct_pack(value := tag_values.value, images := tag_values.images)
                    order by tag_values.rank
                )
            from tag_values
            where
                tag_values.source = profile.source
                and tag_values.path = profile.path
                and tag_values.rank <= 10
        ),
        []
    ) as commonest
from tag_profile as profile
where
    case
        when getvariable('path') is not null
            then
                profile.path = getvariable('path')
                or ends_with(profile.path, '.' || getvariable('path'))
        else profile.tag like getvariable('tag')
    end
order by contains(profile.path, '.'), profile.present desc, profile.source, profile.path
