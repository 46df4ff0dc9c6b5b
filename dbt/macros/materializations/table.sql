{#
    A model's table, made where it stays. The database file is the run's own and unseen until all
    models are there, so that there is no older table to swap against, and no name to give twice.
#}
{% materialization table, adapter='duckdb' %}
{%- set relation = this.incorporate(type='table') -%}
{% call statement('main', auto_begin=False) -%}
create or replace table {{ relation }} as (
{{ sql }}
)
{%- endcall %}
{{ return({'relations': [relation]}) }}
{% endmaterialization %}
