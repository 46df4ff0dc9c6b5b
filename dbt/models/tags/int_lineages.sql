{% set keys = {'patient': 'patient_key', 'study': 'study_key', 'series': 'series_key'} %}

with

lineages as (
    select
        source,
        Modality,
        patient_key,
        study_key,
        series_key,
        count(*) as images
    from {{ ref('images') }}
    group by source, Modality, patient_key, study_key, series_key
)

select
    source,
    Modality,
    patient_key,
    study_key,
    series_key,
    images,
    {% for level, key in keys.items() %}
    count(*) over (partition by source, {{ key }}) > 1 as shares_{{ level }},
    {% endfor %}
    shares_patient or shares_study or shares_series as shares
from lineages
