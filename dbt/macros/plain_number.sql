{# A number for a message: six digits, no zeros at its end. #}
{% macro plain_number(number) -%}
format('{:g}', round({{ number }}, 4) + 0.0)
{%- endmacro %}
