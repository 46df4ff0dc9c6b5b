-- What was read just now, in the table `digested` of this connection.
insert into run.pixel_digests
select
    file_id,
    size_bytes,
    modified_at,
    digest,
    reason
from digested;
