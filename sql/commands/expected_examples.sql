-- The first entities of each state, and how many more there are.
with

grouped as (
    select
        state,
        count(*) as entities,
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
    where list_contains(getvariable('states'), state)
    group by state
),

shown as (
    select
        state,
        greatest(entities - 20, 0) as more,
        unnest(examples, max_depth := 2)
    from grouped
)

select
    state,
    line,
    level,
    entity,
    case
        when problem is not null then problem
        when expected_instances is null then format('{:,} found', found_instances)
        else format('{:,} of {:,}', found_instances, expected_instances)
    end as instances,
    more
from shown
order by
    list_position(['invalid', 'missing', 'incomplete', 'surplus', 'unasked', 'present'], state)
    nulls last,
    line,
    entity
