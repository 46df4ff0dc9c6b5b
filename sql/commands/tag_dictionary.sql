-- What the dictionaries have at a tag: the parameter `path` of a private one with its creator, else
-- `tag` as GGGGEEEE. A private tag without a creator gives the entries of all creators, one of a
-- repeating group that of the group, unless it has an entry of its own (PixelData).
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
            -- Block 00 is none: (gggg,0010) to (gggg,00FF) are creators.
            and (private_creator is null or substr(getvariable('tag'), 5, 2) <> '00')
    end
qualify
    private_creator is not null
    or not contains(tag, 'x')
    or bool_and(contains(tag, 'x')) over ()
order by private_creator, tag
