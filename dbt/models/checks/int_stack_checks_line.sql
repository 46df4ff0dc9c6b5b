with

slices as (
    select
        source,
        series_key,
        stack,
        list_sort(
            list(distinct path) filter (off_line_mm > {{ tolerance('in_plane_drift') }})
        ) as drifting_files,
        arg_max(label, (off_line_mm, path, frame)) as farthest
    from {{ ref('int_slices') }}
    group by source, series_key, stack
),

geometry as (
    select
        geometry.*,
        slices.drifting_files,
        slices.farthest,
        coalesce(geometry.gantry_tilt_degrees, 0) as tilt_degrees
    from {{ ref('series_geometry') }} as geometry
    inner join slices using (source, series_key, stack)
    where geometry.positions > 2
)

{{ stack_check(
    rule='sheared_stack', relation='geometry', applies='true',
    fails='is_sheared',
    severity="case when tilt_degrees > 0 and is_tilt_tagged then 'I' end",
    measured='shear_degrees',
    message="'The line through the slices leaves the normal by ' || "
        ~ plain_number('round(shear_degrees, 2)') ~ " || ' degrees: '"
        ~ " || " ~ plain_number('round(shear_mm, 1)') ~ " || ' mm sideways over the stack'",
) }}

union all

{{ stack_check(
    rule='tilt_tag_mismatch', relation='geometry', applies="Modality = 'CT'",
    fails='not is_tilt_tagged',
    measured='abs(shear_degrees - tilt_degrees)',
    message="'The stack is tilted by ' || " ~ plain_number('round(shear_degrees, 2)')
        ~ " || ' degrees, GantryDetectorTilt says '"
        ~ " || coalesce(" ~ plain_number('gantry_tilt_degrees') ~ ", 'nothing')",
) }}

union all

{{ stack_check(
    rule='in_plane_drift', relation='geometry', applies='drift_mm is not null',
    fails='drift_mm > ' ~ tolerance('in_plane_drift'),
    measured='drift_mm',
    files='drifting_files',
    message="farthest || ' lies ' || " ~ plain_number('round(drift_mm, 2)')
        ~ " || ' mm off the line through the slices' || "
        ~ and_more('len(drifting_files)', 'file'),
) }}
