-- Files that were not read in full, counted by reason.
select
    source,
    status,
    split_part(reason, ':', 1) as reason,
    count(*) as files
from files
where status in ('truncated', 'unreadable', 'empty')
group by all
order by files desc, source, status, reason
