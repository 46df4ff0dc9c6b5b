{#
How many findings each entity has that nobody accepted, and the most severe; `key` is patient_key
or the like.
#}
{% macro worst_findings(key) -%}
select
        source,
        {{ key }},
        {{ worst_severity() }} as worst_finding,
        count(*) as findings
    from {{ ref('findings') }}
    where {{ key }} is not null and is_waived is not true
    group by source, {{ key }}
{%- endmacro %}
