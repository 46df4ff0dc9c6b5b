with

spacings as not materialized (
    select * from {{ ref('int_stack_spacings') }}
),

based as (
    select
        spacings.source,
        spacings.series_key,
        spacings.stack,
        profiles.program,
        profiles.base,
        profiles.in_time = 'unseen' and spacings.is_repeated and spacings.is_in_time as is_unseen,
        case
            when
                spacings.is_repeated
                and not (spacings.is_in_time and profiles.in_time <> 'repeated')
                then 0
            else spacings.spacing_min
        end as spacing_min,
        spacings.spacing_max,
        case profiles.base
            when 'mean' then spacings.spacing_mean
            when 'mode' then spacings.spacing_mode
            when 'median' then spacings.spacing_median
            when 'first' then spacings.spacing_first
        end as base_mm,
        profiles.relative * base_mm + profiles.absolute_mm as tolerance_mm
    from spacings
    cross join {{ ref('tolerance_profiles') }} as profiles
)

select
    source,
    series_key,
    stack,
    program,
    base,
    base_mm,
    tolerance_mm,
    greatest(spacing_max - base_mm, base_mm - spacing_min) as deviation_mm,
    -- What binary fractions add is not a deviation.
    is_unseen or deviation_mm <= tolerance_mm + 1e-9 as passes
from based
