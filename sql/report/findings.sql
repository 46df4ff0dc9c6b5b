-- The findings of each rule, the most severe first, waived ones last, a hundred at the most.
with

numbered as (
    select
        *,
        row_number() over (
            partition by rule
            order by is_waived, position(severity in 'EWI'), state = 'standing', source, subject
        ) as place
    from findings
    where getvariable('with_values')
)

select
    f.rule,
    f.severity,
    f.state,
    f.is_waived,
    n.source_number,
    p.patient_number,
    s.series_number,
    f.subject,
    f.message,
    f.n_offenders,
    f.offenders
from numbered as f
inner join report_sources as n on f.source = n.source
left join report_patients as p on f.source = p.source and f.patient_key = p.patient_key
left join report_series as s on f.source = s.source and f.series_key = s.series_key
where f.place <= 100
order by f.rule, f.place
