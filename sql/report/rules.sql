-- What was found, by rule: how often, how bad, what the rule says and what to do.
select
    f.rule,
    r.level,
    r.theme,
    r.description,
    r.what_to_do,
    r.source as reference,
    count(*) as findings,
    count(*) filter (where f.severity = 'E') as errors,
    count(*) filter (where f.severity = 'W') as warnings,
    count(*) filter (where f.severity = 'I') as informations,
    count(distinct (f.source, f.series_key)) filter (where f.series_key is not null) as series,
    sum(f.n_offenders)::bigint as files
from findings as f
inner join seeds.check_rules as r on f.rule = r.rule
group by f.rule, r.level, r.theme, r.description, r.what_to_do, r.source
order by errors desc, warnings desc, findings desc, f.rule
