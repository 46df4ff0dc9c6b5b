with

kinds as (
    select file_id from {{ ref('int_image_kinds') }}
    where not is_left_out
),

typed as (
    select
        frames.source,
        frames.series_key,
        frames.file_id,
        frames.frame,
        frames.path,
        frames.PixelSpacing,
        coalesce(list_contains(frames.ImageType, 'LOCALIZER'), false) as is_localizer
    from {{ ref('frames') }} as frames
    inner join kinds on frames.file_id = kinds.file_id
    where frames.Rows is not null
),

wholly_localizers as (
    select
        source,
        series_key
    from typed
    group by source, series_key
    having bool_and(is_localizer)
),

frames as (
    select
        *,
        is_localizer
        and (source, series_key) not in (
            select (wholly_localizers.source, wholly_localizers.series_key) from wholly_localizers
        ) as is_named
    from typed
),

placed as (
    select
        stack_frames.source,
        stack_frames.series_key,
        stack_frames.stack,
        stack_frames.file_id,
        stack_frames.frame,
        stack_frames.path,
        coalesce(10 * list_max(frames.PixelSpacing), 0) as ten_pixels,
        {{ off_line_mm('stack_frames', 'lines') }} as off_line_mm
    from {{ ref('int_stack_frames') }} as stack_frames
    inner join frames
        on stack_frames.file_id = frames.file_id and stack_frames.frame = frames.frame
    left join {{ ref('int_stack_lines') }} as lines
        on
            stack_frames.source = lines.source
            and stack_frames.series_key = lines.series_key
            and stack_frames.stack = lines.stack
    where not frames.is_named
),

stacks as (
    select
        source,
        series_key,
        stack,
        count(*) as frames
    from placed
    group by source, series_key, stack
),

series as (
    select
        source,
        series_key,
        sum(frames)::bigint as frames,
        arg_min(stack, (-frames, stack)) as main_stack
    from stacks
    group by source, series_key
),

compared as (
    select
        placed.*,
        series.frames as series_frames,
        placed.stack <> series.main_stack as is_turned,
        coalesce(
            placed.off_line_mm
            > greatest({{ tolerance('localizer_embedded') }}, placed.ten_pixels),
            false
        ) as is_off_line
    from placed
    inner join series
        on placed.source = series.source and placed.series_key = series.series_key
),

odd as (
    select
        *,
        count(*) over (partition by source, series_key) as odd_frames
    from compared
    where is_turned or is_off_line
)

select
    source,
    series_key,
    file_id,
    frame,
    path,
    'image_type' as reason
from frames
where is_named

union all

select
    source,
    series_key,
    file_id,
    frame,
    path,
    case when is_turned then 'orientation' else 'line' end as reason
from odd
where
    odd_frames <= {{ tolerance('localizer_embedded.images') }}
    and odd_frames < {{ tolerance('localizer_embedded.share', noise='0') }} * series_frames
