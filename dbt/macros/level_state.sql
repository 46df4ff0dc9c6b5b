{# How a tag behaves in an entity, from the number of its distinct values and of its images. #}
{% macro level_state(distinct_values, present, images, has_unread) -%}
    case
        when {{ present }} = 0 then 'always_empty'
        when {{ distinct_values }} > 1 then 'varies'
        when {{ has_unread }} and {{ present }} > 1 then 'not_compared'
        when {{ present }} < {{ images }} then 'constant_where_present'
        else 'constant'
    end
{%- endmacro %}
