{% set attributes = group_attributes() + ['AcquisitionTime'] %}

with

slices as (
    select
        stack_frames.source,
        stack_frames.series_key,
        stack_frames.stack,
        stack_frames.file_id,
        stack_frames.frame,
        {% for attribute in attributes %}
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
        -- Where nearly every image has its own time, times make no groups.
        or approx_count_distinct(AcquisitionTime) between 2 and count(*) / 2
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
                {% for attribute in attributes %}
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
)

select
    *,
    position - lag(position) over (
        partition by source, series_key, stack, attribute, value order by position
    ) as step
from grouped
