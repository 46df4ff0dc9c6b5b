{# Words as a list of texts for `in`, one to a line. #}
{% macro quoted(words) -%}
(
{%- for word in words %}
'{{ word }}'{{ "," if not loop.last }}
{%- endfor %}
)
{%- endmacro %}
