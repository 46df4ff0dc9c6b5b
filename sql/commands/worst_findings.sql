-- The five most severe rules that failed, with how often, but for what someone has accepted; what
-- the standard wants comes after what the images lack. That a file is something else than DICOM is
-- never the first to be said.
with

counted as (
    select
        severity,
        theme,
        rule,
        level,
        count(*) as findings
    from findings
    where not is_waived
    group by severity, theme, rule, level
)

select
    severity,
    rule || ' (' || theme || ')' as name,
    findings,
    level
from counted
order by
    rule = 'file_not_dicom',
    position(severity in 'EWI'),
    theme = 'conformance',
    findings desc,
    rule
limit 5
