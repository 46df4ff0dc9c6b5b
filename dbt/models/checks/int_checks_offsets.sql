-- Where the offsets of a dose grid, or the slice numbers of nuclear medicine, put the frames.
with

images as not materialized (
    select
        file_id,
        ImagePositionPatient,
        ImageOrientationPatient,
        SOPClassUID = '1.2.840.10008.5.1.4.1.1.20' as is_nuclear
    from {{ ref('images') }}
    where SOPClassUID in ('1.2.840.10008.5.1.4.1.1.481.2', '1.2.840.10008.5.1.4.1.1.20')
),

offsets as (
    select
        file_id,
        any_value(frames) as frames,
        any_value(offsets) as given,
        coalesce(given, 0) as offsets,
        count(frame_offset) as numbers,
        min(frame_offset) filter (frame = 1) as first_offset,
        list(frame_offset order by frame) as in_order,
        list_sort(in_order) as sorted
    from {{ ref('int_multiframe_frames') }}
    semi join images using (file_id)
    where frames > 1
    group by file_id
),

grids as (
    select
        series_images.source,
        series_images.series_key,
        series_images.path,
        case
            when images.is_nuclear and offsets.given <> offsets.frames
                then
                    {{ count_of('offsets.given', 'slice number') }} || ' for '
                    || {{ count_of('offsets.frames', 'frame') }}
            when images.is_nuclear then null
            when offsets.offsets <> offsets.frames
                then
                    {{ count_of('offsets.offsets', 'offset') }} || ' for '
                    || {{ count_of('offsets.frames', 'frame') }}
            when offsets.numbers < offsets.frames
                then
                    {{ count_of('offsets.frames - offsets.numbers', 'offset') }}
                    || ' without a number'
            when offsets.in_order not in (offsets.sorted, list_reverse(offsets.sorted))
                then 'offsets that neither rise nor fall from frame to frame'
            when
                offsets.first_offset <> 0
                and not (
                    offsets.first_offset = images.ImagePositionPatient[3]
                    and {{ rounded('images.ImageOrientationPatient') }} = [1, 0, 0, 0, 1, 0]
                )
                then
                    'a first offset of ' || {{ plain_number('offsets.first_offset') }}
                    || ', which is neither 0 nor the z of an axial grid'
        end as fault,
        case when images.is_nuclear then 'SliceVector' else 'GridFrameOffsetVector' end as vector,
        fault like 'a first%' as is_placed
    from {{ ref('int_series_images') }} as series_images
    inner join images on series_images.file_id = images.file_id
    inner join offsets on series_images.file_id = offsets.file_id
),

faulty_grids as (
    select
        source,
        series_key,
        bool_and(is_placed) filter (fault is not null) as is_placed,
        list_sort(list(path) filter (fault is not null)) as files,
        arg_min(vector || ' has ' || fault, path) filter (fault is not null) as fault
    from grids
    group by source, series_key
)

{% call verdicts() %}
select
    source,
    series_key,
    'frame_offsets_invalid' as rule,
    case when is_placed then 'W' end as severity,
    files,
    fault || {{ and_more('len(files)', 'file') }} as message
from faulty_grids
{% endcall %}
