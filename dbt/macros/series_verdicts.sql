{# The verdicts of all rules about series, of the models that give them. #}
{% macro series_verdicts() -%}
{%- for model in [
    'int_checks_identity',
    'int_checks_duplicates',
    'int_checks_references',
    'int_checks_entities',
    'int_checks_homogeneity',
    'int_checks_values',
    'int_checks_frames',
    'int_checks_offsets',
    'int_checks_geometry',
    'int_checks_planes',
    'int_checks_stacks',
    'int_checks_numbering',
    'int_checks_conformance',
    'int_checks_pixels',
    'int_checks_pixel_stats',
] %}
select * from {{ ref(model) }}
{%- if not loop.last %}
union all
{%- endif %}
{%- endfor %}
{%- endmacro %}
