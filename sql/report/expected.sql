-- What a list said should be here, against what is, with the first twenty that differ.
select
    level,
    state,
    count(*) as entities,
    if(
        getvariable('with_values'),
        list_sort(
            list(
                coalesce(SOPInstanceUID, SeriesInstanceUID, StudyInstanceUID, PatientID, problem)
            ) filter (where state not in ('complete', 'present'))
        )[:20],
        []
    ) as examples
from expected
group by level, state
order by level, state
