{# The most severe of a group's severities: E error, W warning, I information. #}
{% macro worst_severity(severity='severity') -%}
    case
        when bool_or({{ severity }} = 'E') then 'E'
        when bool_or({{ severity }} = 'W') then 'W'
        when bool_or({{ severity }} = 'I') then 'I'
    end
{%- endmacro %}
