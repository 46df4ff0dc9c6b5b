{# Each attribute of a rule on a row of its own, as text, beside some columns of its image. #}
{% macro by_attribute(relation, columns, rule_attributes) -%}
{% for rule, attributes in rule_attributes.items() %}
{% set outer_loop = loop %}
{% for attribute in attributes %}
{% if not (outer_loop.first and loop.first) %}union all{% endif %}
select
    {{ columns | join(', ') }},
    '{{ rule }}' as rule,
    '{{ attribute }}' as attribute,
    {{ attribute }}::varchar as value
from {{ relation }}
{% endfor %}
{% endfor %}
{%- endmacro %}
