-- What belongs together is compared before positions are. Where the positions of a stack are
-- uneven, and an attribute makes groups that are each a stack by itself (whole steps, of which some
-- may be missing), they are several stacks, or several times of one. A time alone is a weaker sign:
-- slices that were taken in turns have two, so none may be missing.
with

frames as not materialized (
    select * from {{ ref('int_uneven_frames') }}
),

candidates as (
    select
        source,
        series_key,
        stack,
        rank,
        attribute,
        value,
        min(position) as start,
        max(position) as stop,
        list(step) filter (step > {{ tolerance('duplicate_position') }}) as steps,
        quantile_disc(step, 0.5) filter (step > {{ tolerance('duplicate_position') }}) as spacing,
        value is not null
        and coalesce(len(steps) >= 2, false)
        and list_max([
            abs(
                step / spacing
                - case when attribute = 'AcquisitionTime' then 1 else round(step / spacing) end
            )
            for step in steps
        ]) <= {{ tolerance('missing_slices') }} as is_stack
    from frames
    group by source, series_key, stack, rank, attribute, value
),

chosen as (
    select
        candidates.source,
        candidates.series_key,
        candidates.stack,
        candidates.attribute
    from candidates
    group by
        candidates.source,
        candidates.series_key,
        candidates.stack,
        candidates.attribute,
        candidates.rank
    having bool_and(candidates.is_stack) and count(*) > 1
    qualify row_number() over (
        partition by candidates.source, candidates.series_key, candidates.stack
        order by candidates.rank
    ) = 1
),

spaced as (
    select
        candidates.*,
        coalesce(
            candidates.spacing - lag(candidates.spacing) over by_spacing
            > {{ spacing_tolerance('irregular_spacing', 'candidates.spacing') }},
            false
        ) as is_wider
    from candidates
    inner join chosen using (source, series_key, stack, attribute)
    window by_spacing as (
        partition by candidates.source, candidates.series_key, candidates.stack
        order by candidates.spacing, candidates.value
    )
),

classes as (
    select
        *,
        count(*) filter (is_wider) over (
            partition by source, series_key, stack order by spacing, value
        ) as class
    from spaced
),

-- How far a group lies from the positions of the first one, as a share of their step.
shifted as (
    select
        *,
        (start - min(start) over in_class) / min(spacing) over in_class as shift,
        shift - floor(shift + {{ tolerance('duplicate_position.share') }}) as phase
    from classes
    window in_class as (partition by source, series_key, stack, class)
),

apart as (
    select
        *,
        coalesce(
            class <> lag(class) over by_phase
            or phase - lag(phase) over by_phase > {{ tolerance('duplicate_position.share') }},
            false
        ) as is_apart
    from shifted
    window by_phase as (partition by source, series_key, stack order by class, phase, value)
),

met as (
    select
        *,
        count(*) filter (is_apart) over (
            partition by source, series_key, stack order by class, phase, value
        ) as grid
    from apart
),

-- Groups of one grid that lie far apart are two coverages.
distant as (
    select
        *,
        coalesce(
            start - max(stop) over before
            > {{ tolerance('coverage_gap.parted') }} * spacing,
            true
        ) as is_distant
    from met
    window before as (
        partition by source, series_key, stack, grid order by start, value
        rows between unbounded preceding and 1 preceding
    )
),

parts as (
    select
        *,
        count(*) filter (is_distant) over (
            partition by source, series_key, stack order by grid, start, value
        ) as part
    from distant
)

select
    frames.source,
    frames.series_key,
    frames.stack,
    frames.file_id,
    frames.frame,
    parts.attribute,
    parts.part,
    {{ tolerance('duplicate_position.share') }} * parts.spacing as one_position
from frames
inner join parts using (source, series_key, stack, attribute, value)
