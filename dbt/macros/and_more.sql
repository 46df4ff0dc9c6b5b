{# What is said of the first of several, and how many more there are. #}
{% macro and_more(count, one, many=none) -%}
case
    when {{ count }} > 1
        then ' (and ' || ({{ count }} - 1) || ' more ' || case when {{ count }} = 2 then '{{ one }}' else '{{ many or one ~ "s" }}' end || ')'
    else ''
end
{%- endmacro %}
