{# Texts are compared only where their hashes are equal: that costs a fraction. #}
{% test unique_combination(model, columns) %}
with

hashed as (
    select hash({{ columns | join(', ') }}) as hash
    from {{ model }}
),

repeated as (
    select hash
    from hashed
    group by hash
    having count(*) > 1
)

select {{ columns | join(', ') }}
from {{ model }}
where hash({{ columns | join(', ') }}) in (select repeated.hash from repeated)
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
