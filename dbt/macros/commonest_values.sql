{#
What most images of an entity say: of each column the commonest value, of equally common ones the
smallest. Values are counted only where an entity's images differ: that is seldom, and takes longest.
#}
{% macro commonest_values(key, columns) -%}
with

    alike as (
        select
            source,
            {{ key }},
{%- for column in columns %}
            any_value({{ column }}) as {{ column }},
{%- endfor %}
            min(hash({{ columns | join(', ') }})) = max(hash({{ columns | join(', ') }})) as are_alike
        from images
        group by source, {{ key }}
    )

    select * exclude (are_alike) from alike
    where are_alike

    union all

    select
        images.source,
        images.{{ key }},
{%- for column in columns %}
        list_mode(list_sort(list(images.{{ column }}))) as {{ column }}
{{- "," if not loop.last }}
{%- endfor %}
    from images
    inner join alike on images.source = alike.source and images.{{ key }} = alike.{{ key }}
    where not alike.are_alike
    group by images.source, images.{{ key }}
{%- endmacro %}
