with

modalities as (
    select distinct
        source,
        Modality
    from {{ ref('images') }}
),

counted as (
    select
        source,
        Modality,
        count(*) over (partition by source) as modalities
    from modalities
)

select
    source,
    '(all)' as scope,
    Modality,
    modalities = 1 as is_modality
from counted

union all

select
    source,
    coalesce(Modality, '(none)') as scope,
    Modality,
    true as is_modality
from counted
where modalities > 1
