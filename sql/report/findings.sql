-- Findings, the most severe first; the thousand that come first.
select
    severity,
    rule,
    level,
    source,
    message,
    n_offenders,
    offenders[1] as first_file
from findings
order by position(severity in 'EWI'), rule = 'file_not_dicom', rule, source, first_file
limit 1000
