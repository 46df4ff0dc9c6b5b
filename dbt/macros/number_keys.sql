{#
A value in one form whatever was written: `1`, `1.0` and ` 1` are one, and so are 0 and -0, to which
`+ 0.0` is added. What is not a number stays text, without padding.
#}
{% macro number_key(text) -%}
coalesce((try_cast({{ text }} as double) + 0.0)::varchar, trim({{ text }}))
{%- endmacro %}

{# The values of a text, each in its one form. #}
{% macro number_keys(text) -%}
[{{ number_key('x') }} for x in string_split({{ text }}, '\')]
{%- endmacro %}

{# A number for a value, the same for every text that is one number. #}
{% macro number_mark(text) -%}
hash(
    try_cast({{ text }} as double) + 0.0,
    case when try_cast({{ text }} as double) is null then trim({{ text }}) end
)
{%- endmacro %}
