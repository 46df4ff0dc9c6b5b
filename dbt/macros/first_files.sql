{# Up to 20 files, in order, of the rows that a condition holds for. #}
{% macro first_files(condition, path='path') -%}
list_sort(list(distinct {{ path }}) filter ({{ condition }}))[1:20]
{%- endmacro %}
