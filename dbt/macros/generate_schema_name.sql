{#
Plain schema names, without the target's name before them. What the prefix of a model says is where
it stands: `main` holds what people query, and nothing else.
#}
{% macro generate_schema_name(custom_schema_name, node) -%}
{{
    custom_schema_name
    or {'int': 'intermediate', 'stg': 'staging'}.get(node.name.split('_')[0], target.schema)
}}
{%- endmacro %}
