-- The five most severe rules that failed, with how often. That a file is something else than DICOM
-- is never the first to be said.
select
    severity,
    rule,
    count(*) as findings,
    level
from findings
group by severity, rule, level
order by rule = 'file_not_dicom', position(severity in 'EWI'), findings desc, rule
limit 5
