-- Findings, the most severe first; an empty list of severities, rules or levels means all.
select
    severity,
    level,
    rule,
    source,
    message,
    n_offenders,
    offenders[1] as first_file
from findings
where
    (len($severities) = 0 or list_contains($severities, severity))
    and (len($rules) = 0 or list_contains($rules, rule))
    and (len($levels) = 0 or list_contains($levels, level))
order by position(severity in 'EWI'), level, rule, source, first_file
