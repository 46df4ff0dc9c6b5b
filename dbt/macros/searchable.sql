{# A text as words between single spaces: capital letters and digits alone. #}
{% macro searchable(text) -%}
concat(' ', trim(regexp_replace(upper({{ text }}), '[^\pL\pN]+', ' ', 'g')), ' ')
{%- endmacro %}
