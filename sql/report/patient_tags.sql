-- What is constant in each patient but not in its whole source, of top-level attributes: the
-- numbers of their paths, and their values. Two thousand patients at the most.
select
    n.patient_number,
    list(p.path_number order by p.path_number) as paths,
    list(left(t.value, 100) order by p.path_number) as tag_values
from patient_tags as t
inner join report_patients as n on t.source = n.source and t.patient_key = n.patient_key
inner join report_paths as p on t.source = p.source and t.path = p.path
inner join tag_profile as f on t.source = f.source and t.path = f.path
where
    p.has_values
    and not f.is_constant
    and t.value is not null
    and not contains(t.path, '.')
    and n.patient_number <= 2000
group by n.patient_number
order by n.patient_number
