{# Whether one value of a representation can be written in several ways, though it is no number. #}
{% macro has_forms(vr) -%}
(main.is_moment({{ vr }}) or {{ vr }} = 'AS')
{%- endmacro %}

{#
An age, time or date in one form, however precise or padded it was written: 1011, 10:11:00 and
101100.000; 41Y and 041Y. A date with a time that has an offset is told in UTC.
#}
{% macro form_key(vr, text) -%}
case
    when {{ vr }} = 'AS'
        then
            case
                when regexp_full_match(trim({{ text }}), '[0-9]{1,3}[DWMY]')
                    then lpad(trim({{ text }}), 4, '0')
                else trim({{ text }})
            end
    when {{ vr }} = 'DA' then replace(trim({{ text }}), '.', '')
    when {{ vr }} = 'DT' and regexp_matches({{ text }}, '[0-9]{10}.*[+-][0-9]{4} *$')
        then
            coalesce(
                regexp_replace(
                    strftime(
                        try_strptime(
                            trim({{ text }}),
                            [
                                '%Y%m%d%H%M%S.%f%z', '%Y%m%d%H%M%S%z', '%Y%m%d%H%M%z', '%Y%m%d%H%z'
                            ]
                        ) at time zone 'UTC',
                        '%Y%m%d%H%M%S.%f'
                    ),
                    '\.?0*$',
                    '+0000'
                ),
                trim({{ text }})
            )
    when {{ vr }} = 'DT' and contains({{ text }}, '.')
        then regexp_replace(trim({{ text }}), '\.?0*$', '')
    when {{ vr }} = 'DT' and length(trim({{ text }})) in (10, 12)
        then rpad(trim({{ text }}), 14, '0')
    when {{ vr }} = 'DT' then trim({{ text }})
    when contains({{ text }}, '.')
        then rtrim(rtrim(replace(trim({{ text }}), ':', ''), '0'), '.')
    when length(trim({{ text }})) < 6 then rpad(replace(trim({{ text }}), ':', ''), 6, '0')
    else replace(trim({{ text }}), ':', '')
end
{%- endmacro %}

{# A text in one form: ages, dates and times as above, others without padding. #}
{% macro text_key(vr, text) -%}
case when {{ has_forms(vr) }} then {{ form_key(vr, text) }} else trim({{ text }}) end
{%- endmacro %}
