{# What patients, studies and series count alike of their images. #}
{% macro image_counts() -%}
min(folder) as folder,
        count(distinct folder) as folders,
        count(*) as images,
        count(distinct SOPInstanceUID) as instances,
        sum(size_bytes) as size_bytes
{%- endmacro %}
