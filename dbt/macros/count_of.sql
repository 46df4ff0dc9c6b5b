{# A number with its noun: `1 slice`, `2 slices`. #}
{% macro count_of(number, one, many=none) -%}
{{ number }} || case when {{ number }} = 1 then ' {{ one }}' else ' {{ many or one ~ "s" }}' end
{%- endmacro %}
