-- What belongs together is compared before positions are. Where the positions of a stack are
-- uneven, and an attribute makes groups that are each a stack by itself (whole steps, of which some
-- may be missing), they are several stacks, or several times of one.
with

slices as (
    select
        stack_frames.source,
        stack_frames.series_key,
        stack_frames.stack,
        stack_frames.file_id,
        stack_frames.frame,
        {% for attribute in group_attributes() %}
        frames.{{ attribute }},
        {% endfor %}
        stack_frames.position
    from {{ ref('int_stack_frames') }} as stack_frames
    inner join {{ ref('frames') }} as frames using (file_id, frame)
    anti join {{ ref('int_localizers') }} using (file_id, frame)
),

-- Most stacks are of one acquisition and one time.
several as (
    select
        source,
        series_key,
        stack
    from slices
    group by source, series_key, stack
    having
        false
        {% for attribute in group_attributes() %}
        or min({{ attribute }}) <> max({{ attribute }})
        {% endfor %}
),

pooled as (
    select
        slices.*,
        slices.position - lag(slices.position) over (
            partition by slices.source, slices.series_key, slices.stack order by slices.position
        ) as step
    from slices
    semi join several using (source, series_key, stack)
),

uneven as (
    select
        source,
        series_key,
        stack
    from pooled
    where step > {{ tolerance('duplicate_position') }}
    group by source, series_key, stack
    having not {{ is_even('step') }}
),

grouped as (
    select
        pooled.source,
        pooled.series_key,
        pooled.stack,
        pooled.file_id,
        pooled.frame,
        pooled.position,
        unnest(
            [
                {% for attribute in group_attributes() %}
                {{ ", " if not loop.first }}struct_pack(
                    rank := {{ loop.index }},
                    attribute := '{{ attribute }}',
                    value := pooled.{{ attribute }}::varchar
                )
                {% endfor %}
            ],
            recursive := true
        )
    from pooled
    semi join uneven using (source, series_key, stack)
),

stepped as (
    select
        *,
        position - lag(position) over (
            partition by source, series_key, stack, attribute, value order by position
        ) as step
    from grouped
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
        list(step) filter (step > {{ tolerance('duplicate_position') }}) as steps,
        quantile_disc(step, 0.5) filter (step > {{ tolerance('duplicate_position') }}) as spacing,
        value is not null
        and coalesce(len(steps) >= 2, false)
        and list_max([abs(step / spacing - round(step / spacing)) for step in steps])
        <= {{ tolerance('missing_slices') }} as is_stack
    from stepped
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

parts as (
    select
        *,
        count(*) filter (is_apart) over (
            partition by source, series_key, stack order by class, phase, value
        ) as part
    from apart
)

select
    grouped.source,
    grouped.series_key,
    grouped.stack,
    grouped.file_id,
    grouped.frame,
    parts.attribute,
    parts.part,
    {{ tolerance('duplicate_position.share') }} * parts.spacing as one_position
from grouped
inner join parts using (source, series_key, stack, attribute, value)
