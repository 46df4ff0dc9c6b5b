with

counted as (
    select
        'images' as entity,
        count(*) as images
    from {{ ref('images') }}
    union all
    select
        'series' as entity,
        coalesce(sum(images), 0) as images
    from {{ ref('series') }}
    union all
    select
        'studies' as entity,
        coalesce(sum(images), 0) as images
    from {{ ref('studies') }}
    union all
    select
        'patients' as entity,
        coalesce(sum(images), 0) as images
    from {{ ref('patients') }}
)

select
    entity,
    images
from counted
qualify images <> max(images) filter (entity = 'images') over ()
