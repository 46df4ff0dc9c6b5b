-- What a list names and what it does not, the worst first; an empty list of states means all. The
-- relation that is read is the mart, or what a list is compared to just now.
select *
from expected
where len(getvariable('states')) = 0 or list_contains(getvariable('states'), state)
order by
    list_position(['invalid', 'missing', 'incomplete', 'surplus', 'unasked', 'present'], state)
    nulls last,
    line,
    PatientID,
    StudyInstanceUID,
    SeriesInstanceUID,
    SOPInstanceUID
