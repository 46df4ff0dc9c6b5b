{# Years of an age string (AS), as 034Y, 006M, 010W or 003D; null where it is none. #}
{% macro years_of_age(age) -%}
try_cast(regexp_extract({{ age }}, '^ *([0-9]+)[DWMY] *$', 1) as smallint)
/ case right(rtrim({{ age }}), 1) when 'D' then 365.25 when 'W' then 365.25 / 7 when 'M' then 12 else 1 end
{%- endmacro %}

{# Years between two dates: those completed, and the days since as a share of a year. #}
{% macro years_between(born, day) -%}
case
    when {{ day }} >= {{ born }}
        then
            date_sub('year', {{ born }}, {{ day }})
            + date_sub(
                'day', {{ born }} + to_years(date_sub('year', {{ born }}, {{ day }})), {{ day }}
            ) / 366
end
{%- endmacro %}
