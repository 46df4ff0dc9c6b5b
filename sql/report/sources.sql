-- How much each source holds.
with
file_counts as (
    select
        source,
        count(*) as files,
        count(*) filter (where status not in ('ok', 'no_image')) as files_not_read_in_full
    from files
    group by source
),

patient_counts as (
    select
        source,
        count(*) as patients
    from patients
    group by source
),

study_counts as (
    select
        source,
        count(*) as studies
    from studies
    group by source
),

series_counts as (
    select
        source,
        count(*) as series,
        sum(images)::bigint as images
    from series
    group by source
)

select
    f.source,
    f.files,
    f.files_not_read_in_full,
    p.patients,
    t.studies,
    s.series,
    s.images
from file_counts as f
left join patient_counts as p on f.source = p.source
left join study_counts as t on f.source = t.source
left join series_counts as s on f.source = s.source
order by f.source
