with

levels as (
    select * from {{ ref('int_tag_levels') }}
    where scope = '(all)'
),

standard_paths as (
    select * from {{ ref('int_standard_paths') }}
    where scope = '(all)'
),

paths as not materialized (
    select * from {{ ref('int_paths') }}
)

select
    levels.source,
    levels.path,
    paths.tag,
    paths.keyword,
    paths.vr,
    levels.level,
    levels.usual_level,
    standard_paths.standard_level,
    case standard_paths.standard_level
        when 'patient' then levels.patient_varying
        when 'study' then levels.study_varying
        when 'series' then levels.series_varying
        when 'image' then 0
    end as contradicting_entities,
    case levels.usual_level
        when 'patient' then levels.patient_varying
        when 'study' then levels.study_varying
        when 'series' then levels.series_varying
        else 0
    end as unusual_entities,
    levels.patient_entities as patients_compared,
    levels.patient_varying as patients_varying,
    levels.patient_partly as patients_partly,
    levels.study_entities as studies_compared,
    levels.study_varying as studies_varying,
    levels.study_partly as studies_partly,
    levels.series_entities as series_compared,
    levels.series_varying,
    levels.series_partly,
    levels.varying_images as images_varying
from levels
inner join paths using (source, path)
left join standard_paths using (source, path)
