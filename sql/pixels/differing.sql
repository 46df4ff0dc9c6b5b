-- Of the files in the table `digested` of this connection, those whose pixels are others now.
select
    source,
    path
from digested
where digest <> digest_before;
