with

kinds as (
    select file_id from {{ ref('int_image_kinds') }}
    where not is_left_out
),

localizers as not materialized (
    select * from {{ ref('int_localizers') }}
),

frames as (
    select
        frames.source,
        frames.series_key,
        frames.path,
        frames.label,
        frames.PixelSpacing is not null as has_spacing,
        frames.ImagePositionPatient is not null as names_position,
        frames.ImageOrientationPatient is not null as names_orientation,
        {{ is_complete('frames.ImagePositionPatient', 3) }} as has_position,
        {{ is_complete('frames.ImageOrientationPatient', 6) }} as has_orientation,
        case when has_orientation then {{ rounded('frames.ImageOrientationPatient') }} end
            as orientation,
        case
            when {{ is_complete('frames.ImageOrientationPatient', 6) }}
                then
                    greatest(
                        abs(
                            sqrt(
                                list_dot_product(
                                    frames.ImageOrientationPatient[1:3],
                                    frames.ImageOrientationPatient[1:3]
                                )
                            ) - 1
                        ),
                        abs(
                            sqrt(
                                list_dot_product(
                                    frames.ImageOrientationPatient[4:6],
                                    frames.ImageOrientationPatient[4:6]
                                )
                            ) - 1
                        ),
                        abs(
                            list_dot_product(
                                frames.ImageOrientationPatient[1:3],
                                frames.ImageOrientationPatient[4:6]
                            )
                        )
                    )
        end as deviation
    from {{ ref('frames') }} as frames
    inner join kinds on frames.file_id = kinds.file_id
    where
        frames.geometry_source <> 'mosaic'
        and (frames.file_id, frames.frame) not in (
            select (localizers.file_id, localizers.frame) from localizers
        )
),

-- As for stacks, the commonest of a series' orientations are enough to compare with.
placed_orientations as (
    select
        source,
        series_key,
        orientation
    from frames
    where has_position and has_orientation
    group by source, series_key, orientation
    qualify row_number() over (
        partition by source, series_key order by count(*) desc, orientation
    ) <= 500
),

unplaced_orientations as (
    select distinct
        source,
        series_key,
        orientation
    from frames
    where not has_position and has_orientation
),

-- Where no image of an orientation has a position, the stack as a whole has no geometry.
bare_stacks as (
    select unplaced.*
    from unplaced_orientations as unplaced
    where not exists (
        select 1 from placed_orientations as placed
        where
            placed.source = unplaced.source
            and placed.series_key = unplaced.series_key
            and {{ same_orientation('placed.orientation', 'unplaced.orientation') }}
    )
),

judged as (
    select
        *,
        not has_position
        and (names_orientation or has_spacing)
        and (source, series_key, coalesce(orientation, [])) not in (
            select (bare_stacks.source, bare_stacks.series_key, bare_stacks.orientation)
            from bare_stacks
        ) as lacks_position,
        not has_orientation and (names_position or has_spacing) as lacks_orientation
    from frames
),

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
    from judged
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
    from localizers
    group by source, series_key
),

stacks as (
    select
        source,
        series_key,
        count(*) as stacks,
        count(*) > 1 and (min(images) >= 3 or max(images) = 1) as is_stacks,
        string_agg(plane || ' (' || images || ')', ', ' order by stack) filter (stack <= 5)
            as found,
        string_agg(distinct grouped_by, ', ' order by grouped_by) as grouped_by
    from {{ ref('series_geometry') }}
    group by source, series_key
),

side_files as (
    select
        source,
        series_key,
        list_sort(list(distinct path)) as files
    from {{ ref('int_slices') }}
    where stack > 1
    group by source, series_key
),

-- Errors only where a series ought to be a volume.
volumes as (
    select
        source,
        series_key,
        bool_or(
            is_slice and not is_non_volume and coalesce(Modality in ('CT', 'MR', 'PT'), false)
        ) as is_volume
    from {{ ref('int_series_images') }}
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

union all by name

select
    stacks.source,
    stacks.series_key,
    rules.rule,
    stacks.stacks > 1 and stacks.is_stacks = (rules.rule = 'multiple_stacks') as is_failed,
    case when not volumes.is_volume then 'I' end as severity,
    stacks.stacks as measured,
    side_files.files,
    case
        when stacks.grouped_by is null
            then stacks.stacks || ' orientations in one series: ' || stacks.found
        else
            stacks.stacks || ' stacks in one series, told apart by '
            || stacks.grouped_by || ': ' || stacks.found
    end as message
from stacks
cross join (values ('mixed_orientation'), ('multiple_stacks')) as rules (rule)
inner join volumes using (source, series_key)
left join side_files using (source, series_key)
{% endcall %}
