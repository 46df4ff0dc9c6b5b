{# Whether the values of a representation are dates, times, or both in one. #}
{% macro is_moment(vr) -%}
{{ vr }} in ('DA', 'DT', 'TM')
{%- endmacro %}

{# A time or date in one form, however precise it was written: 1011, 10:11:00 and 101100.000. #}
{% macro moment_key(vr, text) -%}
case
    when {{ vr }} = 'DA' then replace(trim({{ text }}), '.', '')
    when {{ vr }} = 'DT' and contains({{ text }}, '.')
        then regexp_replace(trim({{ text }}), '\.?0*([+-][0-9]{4})?$', '\1')
    when {{ vr }} = 'DT' and length(trim({{ text }})) in (10, 12)
        then rpad(trim({{ text }}), 14, '0')
    when {{ vr }} = 'DT' then trim({{ text }})
    when contains({{ text }}, '.')
        then rtrim(rtrim(replace(trim({{ text }}), ':', ''), '0'), '.')
    when length(trim({{ text }})) < 6 then rpad(replace(trim({{ text }}), ':', ''), 6, '0')
    else replace(trim({{ text }}), ':', '')
end
{%- endmacro %}

{# A text in one form: dates and times however precise, others without padding. #}
{% macro text_key(vr, text) -%}
case when {{ is_moment(vr) }} then {{ moment_key(vr, text) }} else trim({{ text }}) end
{%- endmacro %}
