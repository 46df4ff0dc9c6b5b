{#- Acquisitions may have taken one volume in turns; echoes, phases and the like may not. -#}
{% set acquisitions = ['AcquisitionNumber', 'AcquisitionDate', 'AcquisitionTime'] %}
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
        stack,
        false
        {% for attribute in group_attributes() | reject('in', acquisitions) %}
        or approx_count_distinct({{ attribute }}) between 2 and count(*) / 2
        {% endfor %}
            as has_kinds
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
        several.has_kinds,
        slices.position - lag(slices.position) over (
            partition by slices.source, slices.series_key, slices.stack order by slices.position
        ) as step
    from slices
    inner join several using (source, series_key, stack)
),

stepped as (
    select
        *,
        case when step > {{ tolerance('duplicate_position') }} then step end as wide_step
    from pooled
),

-- Even positions, no two alike, may be those of several kinds of image beside one another.
measured as (
    select
        source,
        series_key,
        stack,
        {{ is_even('wide_step') }} is false as is_uneven,
        any_value(has_kinds) and count(wide_step) = count(step) as is_beside
    from stepped
    group by source, series_key, stack
),

grouped as (
    select
        pooled.source,
        pooled.series_key,
        pooled.stack,
        pooled.file_id,
        pooled.frame,
        pooled.position,
        measured.is_uneven,
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
    inner join measured using (source, series_key, stack)
    where measured.is_uneven or measured.is_beside
)

select
    * exclude (is_uneven),
    position - lag(position) over (
        partition by source, series_key, stack, attribute, value order by position
    ) as step
from grouped
where is_uneven or attribute not in {{ quoted(acquisitions) }}
