-- The paths of the private tags that the dictionaries know in a group, `group` as GGGG.
select path
from standard.dicom_tags
where private_creator is not null and starts_with(tag, getvariable('group'))
order by path
