{#
The verdicts of a model of rules about series, one select a rule joined by `union all by name`. Each
gives source, series_key, rule and message, and what it stands on: the offending `files`, or only
some of them and their number, `n_offenders`. A rule fails that has offenders, and measures their
number, unless it gives `is_failed` or `measured` itself. A severity of null is the rule's own.
#}
{% macro verdicts() -%}
select
    source,
    series_key,
    rule,
    coalesce(is_failed, coalesce(n_offenders, len(files)) > 0, false) as is_failed,
    severity,
    coalesce(measured, n_offenders, len(files), 0)::double as measured,
    coalesce(n_offenders, len(files), 0) as n_offenders,
    files[1:20] as offenders,
    message
from (
    select
        null::boolean as is_failed,
        null::varchar as severity,
        null::double as measured,
        null::bigint as n_offenders
    where false

    union all by name
    {{ caller() }}
)
{%- endmacro %}
