{# The value of a group that has just one; null where it has several. #}
{% macro only_value(column) -%}
case when min({{ column }}) = max({{ column }}) then min({{ column }}) end
{%- endmacro %}
