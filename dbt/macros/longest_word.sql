{# The first of the longest words of a text, which single spaces part. #}
{% macro longest_word(text) -%}
{%- set words = "string_split(trim(" ~ text ~ "), ' ')" -%}
list_filter(
    {{ words }},
    lambda x: length(x) = list_max(list_transform({{ words }}, lambda y: length(y)))
)[1]
{%- endmacro %}
