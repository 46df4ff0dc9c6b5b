{# The values of a text, each in one form whatever was written: `1`, `1.0` and ` 1` are one. #}
{% macro number_keys(text) -%}
[coalesce((try_cast(x as double) + 0.0)::varchar, trim(x)) for x in string_split({{ text }}, '\')]
{%- endmacro %}

{# A number for a value, the same for every text that is one number. #}
{% macro number_mark(text) -%}
hash(
    try_cast({{ text }} as double) + 0.0,
    case when try_cast({{ text }} as double) is null then trim({{ text }}) end
)
{%- endmacro %}
