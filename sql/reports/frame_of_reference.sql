-- How frames of reference are used: how many tie together so many patients, studies and series.
-- param source: this source alone
with

images as (
    select
        source,
        FrameOfReferenceUID,
        count(distinct patient_key) as patients,
        count(distinct study_key) as studies,
        count(distinct series_key) as series,
        count(*) as images
    from main.images
    where source = coalesce(getvariable('source'), source)
    group by source, FrameOfReferenceUID
)

select
    source,
    patients as patients_each,
    studies as studies_each,
    series as series_each,
    case
        when FrameOfReferenceUID is null then 'no frame of reference'
        when patients > 1 then 'shared by patients: copied, or a fault'
        when series > 1 then 'series share coordinates'
        else 'one series alone'
    end as use,
    count(FrameOfReferenceUID) as frames_of_reference,
    sum(images)::bigint as images,
    min(FrameOfReferenceUID) as example
from images
group by source, patients_each, studies_each, series_each, use
order by source, images desc, use, series_each
