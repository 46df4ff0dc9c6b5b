{# The first of the longest words of a text, which single spaces part. #}
{% macro longest_word(text) -%}
list_reduce(
    string_split(trim({{ text }}), ' '),
    lambda x, y: case when length(y) > length(x) then y else x end
)
{%- endmacro %}
