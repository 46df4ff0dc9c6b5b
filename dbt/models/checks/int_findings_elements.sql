with

files as not materialized (
    select * from {{ ref('files') }}
),

images as not materialized (
    select * from {{ ref('images') }}
),

found as not materialized (
    select * from {{ ref('int_element_problems') }}
),

codes as not materialized (
    select * from {{ ref('int_problem_rules') }}
),

-- Invalid UIDs are told of images, and what contradicts the meta header of its file.
rules as (
    select distinct
        problem,
        rule
    from codes
    where rule not in ('uid_invalid', 'meta_mismatch')
),

invalid_files as (
    select
        found.file_id,
        rules.rule,
        found.path,
        sum(found.elements) as elements
    from found
    inner join rules on found.problem = rules.problem
    group by found.file_id, rules.rule, found.path
),

found_in_sources as (
    select distinct
        files.source,
        found.path,
        found.problem
    from found
    inner join files on found.file_id = files.file_id
),

problems as (
    select
        found_in_sources.source,
        codes.rule,
        found_in_sources.path,
        string_agg(distinct codes.code, ', ' order by codes.code) as found
    from found_in_sources
    inner join codes on found_in_sources.problem = codes.problem
    group by found_in_sources.source, codes.rule, found_in_sources.path
),

invalid_paths as (
    select
        files.source,
        invalid_files.rule,
        invalid_files.path,
        {{ only_value('images.patient_key') }} as patient_key,
        {{ only_value('images.study_key') }} as study_key,
        {{ only_value('images.series_key') }} as series_key,
        sum(invalid_files.elements)::double as elements,
        count(*) as files,
        min(files.path, 20) as offenders
    from invalid_files
    inner join files on invalid_files.file_id = files.file_id
    left join images on files.file_id = images.file_id
    group by files.source, invalid_files.rule, invalid_files.path
)

-- Counted by path, since one habit of a device is in all of its files.
select
    invalid_paths.source,
    invalid_paths.rule,
    invalid_paths.path as subject,
    invalid_paths.patient_key,
    invalid_paths.study_key,
    invalid_paths.series_key,
    null as severity,
    invalid_paths.elements as measured,
    invalid_paths.files as n_offenders,
    invalid_paths.offenders,
    invalid_paths.path || ' in ' || {{ count_of('invalid_paths.files', 'file') }} || ': '
    || problems.found as message
from invalid_paths
inner join problems using (source, rule, path)
