{# The rows of a relation once in each scope they belong to: their source, and their Modality. #}
{% macro in_scopes(relation, columns) -%}
select
    scopes.scope,
    scoped.{{ columns | join(', scoped.') }}
from {{ relation }} as scoped
inner join {{ ref('int_scopes') }} as scopes
    on scoped.source = scopes.source and scoped.Modality is not distinct from scopes.Modality
{%- endmacro %}
