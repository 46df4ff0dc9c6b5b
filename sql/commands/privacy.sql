-- What may identify, counted by action and path: never a value.
select
    source,
    coalesce(action, 'repeats') as action,
    path,
    count(*) as distinct_values,
    max(images) as images_of_commonest,
    max(patients) as patients_of_commonest,
    count(*) filter (len(identifiers) > 0) as repeating_identifiers
from privacy
group by source, action, path, is_private
order by source, is_private, action nulls last, path
