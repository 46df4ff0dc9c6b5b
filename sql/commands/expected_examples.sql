-- The first entities of each state, and how many more there are.
with

ranked as (
    select
        *,
        row_number() over (
            partition by state
            order by line, PatientID, StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID
        ) as place,
        count(*) over (partition by state) as entities
    from expected
    where list_contains(getvariable('states'), state)
)

select
    state,
    line,
    level,
    coalesce(SOPInstanceUID, SeriesInstanceUID, StudyInstanceUID, PatientID) as entity,
    case
        when problem is not null then problem
        when expected_instances is null then format('{:,} found', found_instances)
        else format('{:,} of {:,}', found_instances, expected_instances)
    end as instances,
    greatest(entities - getvariable('most'), 0) as more
from ranked
where place <= getvariable('most')
order by
    list_position(['invalid', 'missing', 'incomplete', 'surplus', 'unasked', 'present'], state)
    nulls last,
    place
