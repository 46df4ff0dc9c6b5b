{#
The tolerance of a rule in this run, as what a number may just reach. Positions are sums of
products, so that a number at its tolerance comes out a little above or below it; a nanometre of
noise keeps the verdict from depending on where the stack lies.
#}
{% macro tolerance(rule, noise='1e-9') -%}
(
    select rules.tolerance + {{ noise }}
    from {{ ref('int_check_rules') }} as rules
    where rules.rule = '{{ rule }}'
)
{%- endmacro %}
