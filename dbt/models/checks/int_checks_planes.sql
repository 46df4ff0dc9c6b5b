with

measured as (
    select
        source,
        series_key,
        count(*) filter (has_position) as positions,
        count(*) filter (has_orientation) as orientations,
        max(deviation) as deviation,
        count(*) filter (lacks_position) as without_position,
        list_sort(list(distinct path) filter (lacks_position)) as files_without_position,
        min(label) filter (lacks_position) as first_without_position,
        count(*) filter (lacks_orientation) as without_orientation,
        list_sort(list(distinct path) filter (lacks_orientation)) as files_without_orientation,
        min(label) filter (lacks_orientation) as first_without_orientation,
        list_sort(
            list(distinct path) filter (
                deviation > {{ tolerance('orientation_not_orthonormal.information') }}
            )
        ) as files_rounded,
        list_sort(
            list(distinct path) filter (
                deviation > {{ tolerance('orientation_not_orthonormal') }}
            )
        ) as files_not_orthonormal
    from {{ ref('int_frame_planes') }}
    group by source, series_key
),

embedded as (
    select
        source,
        series_key,
        count(*) as frames,
        count(*) filter (reason = 'image_type') as named,
        count(*) filter (reason = 'orientation') as turned,
        count(*) filter (reason = 'line') as off_line,
        list_sort(list(distinct path)) as files
    from {{ ref('int_localizers') }}
    group by source, series_key
)

{% call verdicts() %}
select
    source,
    series_key,
    'missing_position' as rule,
    without_position as measured,
    files_without_position as files,
    first_without_position
    || ' has no ImagePositionPatient of three numbers, others of its series do'
    || {{ and_more('without_position', 'image') }} as message
from measured
where positions > 0

union all by name

select
    source,
    series_key,
    'missing_orientation' as rule,
    without_orientation as measured,
    files_without_orientation as files,
    first_without_orientation
    || ' has no ImageOrientationPatient of six numbers, others of its series do'
    || {{ and_more('without_orientation', 'image') }} as message
from measured
where orientations > 0

union all by name

select
    source,
    series_key,
    'orientation_not_orthonormal' as rule,
    case when len(files_not_orthonormal) is null then 'I' end as severity,
    deviation as measured,
    coalesce(files_not_orthonormal, files_rounded) as files,
    'Row and column directions are off length 1 or the right angle by up to '
    || {{ plain_number('deviation') }} as message
from measured
where orientations > 0

union all by name

select
    measured.source,
    measured.series_key,
    'localizer_embedded' as rule,
    coalesce(embedded.frames, 0) as measured,
    embedded.files,
    concat(
        {{ count_of('embedded.frames', 'localizer') }} || ' in the series, set aside: ',
        concat_ws(
            ', ',
            nullif(embedded.named, 0) || ' by ImageType',
            nullif(embedded.turned, 0) || ' of another orientation',
            nullif(embedded.off_line, 0) || ' beside the line of the other slices'
        )
    ) as message
from measured
left join embedded using (source, series_key)
where measured.positions > 0 or embedded.frames > 0
{% endcall %}
