-- The line that most frames of a stack lie on. Slopes are taken between frames half a stack
-- apart and their median counts, so that a few frames off the line do not turn it.
with

numbered as (
    select
        *,
        row_number() over (
            partition by source, series_key, stack order by position, path, frame
        ) as place,
        count(*) over (partition by source, series_key, stack) // 2 as half
    from {{ ref('int_stack_frames') }}
),

paired as (
    select
        frames.source,
        frames.series_key,
        frames.stack,
        (ahead.along_row - frames.along_row) / (ahead.position - frames.position) as row_slope,
        (ahead.along_column - frames.along_column) / (ahead.position - frames.position)
            as column_slope
    from numbered as frames
    inner join numbered as ahead
        on
            frames.source = ahead.source
            and frames.series_key = ahead.series_key
            and frames.stack = ahead.stack
            and frames.place + frames.half = ahead.place
    where ahead.position - frames.position > {{ tolerance('duplicate_position') }}
),

slopes as (
    select
        source,
        series_key,
        stack,
        median(row_slope) as row_slope,
        median(column_slope) as column_slope
    from paired
    group by source, series_key, stack
)

select
    slopes.source,
    slopes.series_key,
    slopes.stack,
    slopes.row_slope,
    slopes.column_slope,
    median(frames.along_row - slopes.row_slope * frames.position) as row_start,
    median(frames.along_column - slopes.column_slope * frames.position) as column_start
from slopes
inner join numbered as frames using (source, series_key, stack)
group by
    slopes.source, slopes.series_key, slopes.stack, slopes.row_slope, slopes.column_slope
