{#
One rule about stacks, for the models named int_stack_checks_*: where it applies, when it fails,
the number that the verdict stands on, what to say, and the offending files; without files the
stack as a whole is meant. A severity of null is the rule's own.
#}
{% macro stack_check(
    rule, relation, applies, fails, measured, message, files='null', severity='null'
) -%}
select
    source,
    series_key,
    stack,
    '{{ rule }}' as rule,
    coalesce({{ fails }}, false) as is_failed,
    {{ severity }}::varchar as severity,
    ({{ measured }})::double as measured,
    {{ files }}::varchar[] as files,
    {{ message }} as message
from {{ relation }}
where {{ applies }}
{%- endmacro %}
