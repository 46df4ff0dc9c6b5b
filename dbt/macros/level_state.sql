{# How a tag behaves in an entity, from the number of its distinct values and of its images. #}
{% macro level_state(distinct_values, present, images) -%}
    case
        when {{ present }} = 0 then 'always_empty'
        when {{ distinct_values }} > 1 then 'varies'
        when {{ present }} < {{ images }} then 'constant_where_present'
        else 'constant'
    end
{%- endmacro %}
