{#
How many findings each entity has, and the most severe, of some themes by themselves too; `key` is
patient_key or the like.
#}
{% macro worst_findings(key, themes=[]) -%}
select
        source,
        {{ key }},
        {{ worst_severity() }} as worst_finding,
        {% for theme in themes %}
        {{ worst_severity("case when theme = '" ~ theme ~ "' then severity end") }} as worst_{{ theme }}_finding,
        {% endfor %}
        count(*) as findings
    from {{ ref('findings') }}
    where {{ key }} is not null
    group by source, {{ key }}
{%- endmacro %}
