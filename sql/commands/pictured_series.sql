-- Series to show pictures of: volumes of one stack, small enough, the first of each patient before
-- the others. The parameter `most` says how many.
with

volumes as (
    select
        source,
        series_key,
        folder,
        row_number() over (
            partition by source, patient_keys[1]
            order by positions desc, series_key
        ) as place
    from series
    where
        is_volume
        and positions between 3 and 1000
        and positions * rows_max * columns_max <= 300000000
)

select
    source,
    series_key
from volumes
order by place, source, folder, series_key
limit getvariable('most')
