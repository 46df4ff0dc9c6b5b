-- Findings, the most severe first but for files of another kind, which come last; an empty list of
-- severities, rules or levels means all.
select
    severity,
    level,
    theme,
    rule,
    source,
    message,
    n_offenders,
    offenders[1] as first_file,
    subject,
    patient_key,
    study_key,
    series_key,
    measured,
    tolerance,
    offenders,
    row_number() over (partition by rule, severity, source order by subject) as place
from findings
where
    (len(getvariable('severities')) = 0 or list_contains(getvariable('severities'), severity))
    and (len(getvariable('rules')) = 0 or list_contains(getvariable('rules'), rule))
    and (len(getvariable('levels')) = 0 or list_contains(getvariable('levels'), level))
order by rule = 'file_not_dicom', position(severity in 'EWI'), level, rule, source, place
