-- What each source holds.
select
    if(getvariable('with_values'), s.source, 'source ' || n.source_number) as source,
    if(getvariable('with_values'), s.address, null) as address,
    s.files,
    s.files_ok,
    s.size_bytes,
    s.patients,
    s.studies,
    s.series,
    s.images
from sources as s
inner join report_sources as n on s.source = n.source
order by n.source_number
