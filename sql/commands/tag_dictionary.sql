-- What the dictionaries have at a tag: the parameter `path` of a private one with its creator, else
-- `tag` as GGGGEEEE. A private tag without a creator gives the entries of all creators.
select
    path,
    tag,
    private_creator,
    keyword,
    name,
    vr,
    vm,
    is_retired
from standard.dicom_tags
where
    case
        when getvariable('path') is not null then path = getvariable('path')
        else
            getvariable('tag') like replace(tag, 'x', '_')
            -- The group of a private tag is odd.
            and (private_creator is null) = contains('02468ACE', substr(getvariable('tag'), 4, 1))
    end
order by private_creator, tag
