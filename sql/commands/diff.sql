-- The elements of a and b that are not the same, by path and item, private ones in whichever block
-- they stand; group lengths say nothing.
-- Numbers are compared as lists of doubles, text without padding, sequences by their items.
with

elements as (
    select
        'a' as side,
        *
    from a
    union all
    select
        'b' as side,
        *
    from b
),

described as (
    select
        side,
        path,
        item,
        tag,
        case
            when vr = 'SQ' then coalesce(number, 0)::bigint || ' item(s)'
            when vm = 0 then '(empty)'
            when value is null then n_bytes || ' bytes' || coalesce(', digest ' || digest, '')
            else value
        end as shown,
        case
            when is_number(vr) and value is not null
                then list_transform(
                    string_split(value, '\'),
                    lambda x: coalesce((try_cast(x as double) + 0.0)::varchar, trim(x))
                )::varchar
            when value is not null
                then list_transform(string_split(value, '\'), lambda x: trim(x))::varchar
            when vm > 0 and vr <> 'SQ' then n_bytes || ' bytes'
            else shown
        end as compared,
        case when value is null and vm > 0 then digest end as bulk,
        row_number() over (partition by side, path, item order by tag) as occurrence
    from elements
    where
        tag not like '%0000'
        and len(
            list_filter(
                getvariable('ignored'),
                lambda x: contains('.' || path || '.', '.' || x || '.')
            )
        ) = 0
),

pairs as (
    select
        path,
        item,
        occurrence,
        min(tag) as tag,
        max(shown) filter (side = 'a') as a,
        max(shown) filter (side = 'b') as b,
        max(compared) filter (side = 'a') as compared_a,
        max(compared) filter (side = 'b') as compared_b,
        max(bulk) filter (side = 'a') as bulk_a,
        max(bulk) filter (side = 'b') as bulk_b
    from described
    group by path, item, occurrence
)

select
    path,
    item,
    tag,
    case when a is null then 'only in b' when b is null then 'only in a' else 'value' end
        as difference,
    a,
    b
from pairs
-- A reader of headers has no digest of pixels; what only one side has tells nothing apart.
where compared_a is distinct from compared_b or bulk_a <> bulk_b
order by path, list_transform(string_split(item, '.'), lambda x: try_cast(x as integer)), occurrence
