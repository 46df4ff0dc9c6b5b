-- By which numbers the page knows sources, patients, series and paths (ten thousand of each at the
-- most; what has no number is not in it), and the paths whose values it shows: without
-- `with_values` those of codes and numbers that neither the confidentiality profile names, nor the
-- patient has, nor a private element is, nor repeat an identifier.
create or replace temp table report_sources as
select
    source,
    row_number() over (order by source) as source_number
from sources;

create or replace temp table report_patients as
select
    source,
    patient_key,
    row_number() over (order by source, folder, patient_key) as patient_number
from patients
qualify patient_number <= 10000;

create or replace temp table report_series as
select
    source,
    series_key,
    row_number() over (order by source, folder, series_key) as series_number
from series
qualify series_number <= 10000;

create or replace temp table report_paths as
with

identifying as (
    select distinct
        source,
        path
    from privacy
)

select
    p.source,
    p.path,
    row_number() over (order by p.source, p.tag, p.path) as path_number,
    getvariable('with_values') or (
        i.path is null
        and p.information_entity is distinct from 'Patient'
        and not contains(p.path, '(')
        and p.vr in ('CS', 'DS', 'FD', 'FL', 'IS', 'SL', 'SS', 'SV', 'UL', 'US', 'UV')
    ) as has_values
from tag_profile as p
left join identifying as i on p.source = i.source and p.path = i.path
left join dicom_tags as d on p.path = d.path
where getvariable('with_values') or not contains(p.path, '(') or d.path is not null
qualify path_number <= 10000;
