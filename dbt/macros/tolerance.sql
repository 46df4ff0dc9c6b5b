{# The tolerance of a rule in this run. #}
{% macro tolerance(rule) -%}
(select rules.tolerance from {{ ref('int_check_rules') }} as rules where rules.rule = '{{ rule }}')
{%- endmacro %}
