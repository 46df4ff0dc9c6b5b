{# By entity, the column of `images` that tells it; an equipment is one within a series. #}
{% macro entity_keys() -%}
{{ return({
    'patient': 'patient_key',
    'study': 'study_key',
    'series': 'series_key',
    'equipment': 'series_key',
    'frame_of_reference': 'FrameOfReferenceUID',
}) }}
{%- endmacro %}
