-- What was found, by rule: how often, how bad, what the rule says and what to do.
select
    f.rule,
    r.level,
    r.theme,
    r.description,
    r.what_to_do,
    r.source as reference,
    count(*) as findings,
    count(*) filter (where f.severity = 'E' and not f.is_waived) as errors,
    count(*) filter (where f.severity = 'W' and not f.is_waived) as warnings,
    count(*) filter (where f.severity = 'I' and not f.is_waived) as informations,
    count(*) filter (where f.state = 'new' and not f.is_waived) as new,
    count(*) filter (where f.is_waived) as waived,
    sum(f.n_offenders)::bigint as files
from findings as f
inner join seeds.check_rules as r on f.rule = r.rule
group by f.rule, r.level, r.theme, r.description, r.what_to_do, r.source
order by errors desc, warnings desc, findings desc, f.rule
