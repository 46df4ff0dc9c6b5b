-- What is expected against what is here by state and level, with the first of each: said once of a
-- relation that may be a view of ten million rows, and asked twice.
create or replace temporary table expected_groups as
select
    state,
    level,
    count(*) as entities,
    sum(expected_instances)::bigint as expected_instances,
    sum(found_instances)::bigint as found_instances,
    min(
        {
            'line': line,
            'level': level,
            'entity': coalesce(SOPInstanceUID, SeriesInstanceUID, StudyInstanceUID, PatientID),
            'expected_instances': expected_instances,
            'found_instances': found_instances,
            'problem': problem
        },
        20
    ) as examples
from expected
group by state, level
