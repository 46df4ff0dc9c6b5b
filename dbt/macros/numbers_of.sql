{# The numbers of an element's text; null where a value is none. #}
{% macro numbers_of(text, type='double') -%}
[try_cast(number as {{ type }}) for number in string_split({{ text }}, chr(92))]
{%- endmacro %}
