-- The files that hold an instance.
select file_id
from images
where SOPInstanceUID = getvariable('uid')
