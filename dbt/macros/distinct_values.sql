{% macro distinct_values(column) -%}
list_sort(list(distinct {{ column }}) filter (where {{ column }} is not null))
{%- endmacro %}
