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

frames as (
    select
        *,
        is_localizer and not bool_and(is_localizer) over (partition by source, series_key)
            as is_named
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
        sqrt(
            (
                stack_frames.along_row
                - lines.row_start
                - lines.row_slope * stack_frames.position
            ) ** 2
            + (
                stack_frames.along_column
                - lines.column_start
                - lines.column_slope * stack_frames.position
            ) ** 2
        ) as off_line_mm,
        count(*) over (partition by stack_frames.source, stack_frames.series_key) as series_frames,
        count(*) over (
            partition by stack_frames.source, stack_frames.series_key, stack_frames.stack
        ) as stack_size
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

compared as (
    select
        *,
        stack <> first_value(stack) over (
            partition by source, series_key order by stack_size desc, stack
        ) as is_turned,
        coalesce(off_line_mm > greatest({{ tolerance('localizer_embedded') }}, ten_pixels), false)
            as is_off_line
    from placed
),

odd as (
    select
        *,
        count(*) filter (is_turned or is_off_line) over (partition by source, series_key)
            as odd_frames
    from compared
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
    (is_turned or is_off_line)
    and odd_frames <= {{ tolerance('localizer_embedded.images') }}
    and odd_frames < {{ tolerance('localizer_embedded.share') }} * series_frames
