{# Whether an element is private, or lies in a private one. #}
{% macro is_private(path) -%}
contains({{ path }}, '(')
{%- endmacro %}

{# The sequence that an element lies in; null at the top level. #}
{% macro parent_path(path) -%}
case when contains({{ path }}, '.') then regexp_replace({{ path }}, '\.[^.]+$', '') end
{%- endmacro %}
