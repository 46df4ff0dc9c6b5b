{% set children = {'patients': 'patient_key', 'studies': 'study_key', 'series': 'series_key'} %}

with

images as not materialized (
    select
        source,
        patient_folder,
        patient_key,
        study_key,
        series_key,
        PatientID,
        path
    from {{ ref('images') }}
    where patient_folder <> ''
),

parents as (
    select
        source,
        patient_folder,
        {{ only_value('patient_key') }} as patient_key,
        {{ only_value('study_key') }} as study_key
    from images
    group by source, patient_folder
),

child_files as (
    {% for child, key in children.items() %}
    {% if not loop.first %}union all{% endif %}
    select
        source,
        patient_folder,
        '{{ child }}' as child,
        min(path) as path
    from images
    group by source, patient_folder, {{ key }}
    {% endfor %}
),

crowded as (
    select
        source,
        patient_folder,
        'folder_multiple_' || child as rule,
        count(*)::double as measured,
        count(*) as n_offenders,
        min(path, 20) as offenders,
        count(*) || ' ' || child || ' in one patient folder' as message
    from child_files
    group by source, patient_folder, child
    having count(*) > 1
),

-- Folders of one patient alone; without a PatientID nothing is said.
named as (
    select
        source,
        patient_folder,
        min(PatientID) = patient_folder as is_named,
        count(*) as images,
        min(path, 20) as paths
    from images
    group by source, patient_folder
    having min(PatientID) = max(PatientID)
),

misnamed as (
    select
        source,
        patient_folder,
        'folder_name_mismatch' as rule,
        null::double as measured,
        images as n_offenders,
        paths as offenders,
        'The patient folder does not bear the PatientID, as most folders of the source do'
            as message
    from named
    qualify
        not is_named
        and 2 * count(*) filter (is_named) over (partition by source)
        > count(*) over (partition by source)
),

failed as (
    select * from crowded
    union all
    select * from misnamed
)

select
    failed.source,
    failed.rule,
    failed.patient_folder as subject,
    parents.patient_key,
    parents.study_key,
    null::varchar as series_key,
    null::varchar as severity,
    failed.measured,
    failed.n_offenders,
    failed.offenders,
    failed.message
from failed
inner join parents using (source, patient_folder)
