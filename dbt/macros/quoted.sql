{# Words as a list of texts for `in`. #}
{% macro quoted(words) -%}
('{{ words | join("', '") }}')
{%- endmacro %}
