{# A text as words between single spaces; of a UID its components. #}
{% macro words_of(text, is_uid) -%}
case
    when {{ is_uid }} then concat(' ', replace({{ text }}, '.', ' '), ' ')
    else {{ searchable(text) }}
end
{%- endmacro %}
