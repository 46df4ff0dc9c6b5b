-- What may identify, counted by action and path: never a value.
with

patients as (
    select
        source,
        path,
        count(*) filter (present > 0) as patients
    from patient_tags
    group by source, path
)

select
    privacy.source,
    coalesce(privacy.action, 'none') as action,
    privacy.path,
    count(*) as distinct_values,
    sum(privacy.images)::bigint as images,
    coalesce(any_value(patients.patients), max(privacy.patients)) as patients,
    count(*) filter (len(privacy.identifiers) > 0) as values_with_identifier
from privacy
left join patients
    on privacy.source = patients.source and privacy.path = patients.path
group by privacy.source, privacy.action, privacy.path, privacy.is_private
order by privacy.source, privacy.is_private, privacy.action nulls last, privacy.path
