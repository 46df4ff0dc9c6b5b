{#- Long because each attribute of a frame is named where groups give it, and where it is typed. -#}
{# Attributes of the functional groups; for a kind of object each stands in one of them. #}
{% set keywords = [
    'ImagePositionPatient', 'ImageOrientationPatient', 'PixelSpacing', 'SliceThickness',
    'SpacingBetweenSlices', 'RescaleSlope', 'RescaleIntercept', 'FrameType', 'StackID',
    'InStackPositionNumber', 'TemporalPositionIndex', 'DimensionIndexValues',
    'FrameAcquisitionNumber', 'EffectiveEchoTime', 'DiffusionBValue',
    'NominalCardiacTriggerDelayTime', 'NominalPercentageOfCardiacPhase', 'ReferencedSegmentNumber',
    'FlipAngle', 'KVP', 'ConvolutionKernel',
] %}
{# The vectors of nuclear medicine, in order of tag: each frame's place along a dimension. #}
{% set vectors = [
    'EnergyWindowVector', 'DetectorVector', 'PhaseVector', 'RotationVector', 'RRIntervalVector',
    'TimeSlotVector', 'SliceVector', 'AngularViewVector', 'TimeSliceVector',
] %}

with

images as not materialized (
    select
        file_id,
        NumberOfFrames,
        size_bytes,
        ImagePositionPatient,
        ImageOrientationPatient,
        SpacingBetweenSlices
    from {{ ref('images') }}
),

elements as (
    select
        file_id,
        path,
        item,
        depth,
        keyword,
        vr,
        value,
        number
    from {{ ref('stg_elements') }}
    where
        not structural
        and (
            path like 'PerFrameFunctionalGroupsSequence%'
            or path like 'SharedFunctionalGroupsSequence%'
            or path like 'DetectorInformationSequence.Image%Patient'
            or path = 'GridFrameOffsetVector'
            or path in {{ quoted(vectors) }}
        )
),

-- Attributes within the macros of the standard: private groups repeat their keywords.
attributes as (
    select
        file_id,
        path like 'PerFrame%' as is_per_frame,
        try_cast(split_part(item, '.', 1) as bigint) + 1 as frame,
        keyword,
        value
    from elements
    where
        path like '%FunctionalGroupsSequence.%'
        and depth = 2
        and not {{ is_private('path') }}
        and keyword in {{ quoted(keywords) }}
),

per_frame as (
    select
        {% for keyword in keywords %}
        min(value) filter (keyword = '{{ keyword }}') as {{ keyword }},
        {% endfor %}
        file_id,
        frame
    from attributes
    where is_per_frame
    group by file_id, frame
),

shared as (
    select
        {% for keyword in keywords %}
        min(value) filter (keyword = '{{ keyword }}') as {{ keyword }},
        {% endfor %}
        file_id
    from attributes
    where not is_per_frame
    group by file_id
),

vectors as (
    select
        {% for vector in vectors %}
        {{ numbers_of("min(value) filter (path = '" ~ vector ~ "')", 'bigint') }}
            as {{ vector }},
        {% endfor %}
        file_id,
        {{ numbers_of("min(value) filter (path = 'GridFrameOffsetVector')") }} as grid
    from elements
    where depth = 0 and not path like '%FunctionalGroupsSequence'
    group by file_id
),

detectors as (
    select
        file_id,
        try_cast(item as bigint) + 1 as detector,
        {{ numbers_of("min(value) filter (keyword = 'ImagePositionPatient')") }}
            as ImagePositionPatient,
        {{ numbers_of("min(value) filter (keyword = 'ImageOrientationPatient')") }}
            as ImageOrientationPatient
    from elements
    where path like 'DetectorInformationSequence.%' and depth = 1
    group by file_id, item
),

groups as (
    select
        file_id,
        number::bigint as items
    from elements
    where path = 'PerFrameFunctionalGroupsSequence' and vr = 'SQ' and number > 0
),

-- A number of frames is only a claim: no file holds more frames than bytes, and frames without
-- a plane are not worth a million rows.
counted as (
    select
        images.file_id,
        groups.file_id is not null as has_groups,
        images.ImagePositionPatient,
        images.ImageOrientationPatient,
        images.SpacingBetweenSlices,
        coalesce(
            groups.items, greatest(1, least(images.NumberOfFrames, images.size_bytes, 65536))
        ) as frames
    from images
    left join groups on images.file_id = groups.file_id
    where
        images.NumberOfFrames > 1
        or groups.file_id is not null
        or images.file_id in (select detectors.file_id from detectors)
),

-- Each frame takes its own number out of every vector: to look one up in a vector that is joined
-- to each frame copies all of it each time.
numbered as (
    select
        {% for vector in vectors %}
        unnest(vectors.{{ vector }}[:counted.frames]) as {{ vector }},
        {% endfor %}
        counted.*,
        vectors.grid is not null as has_grid,
        vectors.grid[1] as first_offset,
        coalesce(len(vectors.grid), len(vectors.SliceVector)) as offsets,
        vectors.SliceVector is not null as has_slices,
        unnest(range(1, counted.frames + 1)) as frame,
        unnest(vectors.grid[:counted.frames]) as frame_offset
    from counted
    left join vectors on counted.file_id = vectors.file_id
),

placed as (
    select
        numbered.file_id,
        numbered.frame,
        numbered.frames,
        numbered.has_groups,
        {% for keyword in keywords %}
        coalesce(per_frame.{{ keyword }}, shared.{{ keyword }}) as {{ keyword }},
        {% endfor %}
        coalesce(detectors.ImagePositionPatient, numbered.ImagePositionPatient) as corner,
        coalesce(detectors.ImageOrientationPatient, numbered.ImageOrientationPatient)
            as orientation,
        numbered.has_grid,
        numbered.offsets,
        numbered.frame_offset,
        numbered.frame_offset - numbered.first_offset as grid_shift,
        detectors.file_id is not null
        and (numbered.has_slices or numbered.frames = 1) as is_detector_plane,
        case when numbered.has_slices then numbered.SliceVector::double - 1 else 0 end
        * case when numbered.frames = 1 then 0 else numbered.SpacingBetweenSlices end
            as slice_offset,
        case
            when detectors.file_id is not null
                then
                    [
                        {% for vector in vectors %}
                        {{ ", " if not loop.first }}numbered.{{ vector }}
                        {% endfor %}
                    ]
        end as vector_values
    from numbered
    left join per_frame using (file_id, frame)
    left join shared on numbered.file_id = shared.file_id
    left join detectors
        on
            numbered.file_id = detectors.file_id
            and coalesce(numbered.DetectorVector, 1) = detectors.detector
),

-- Frames of one corner lie along the normal: dose planes by their offsets from the first one,
-- nuclear medicine's by number and signed spacing of the slices (PS3.3 C.8.8.3.2, C.8.4.15).
shifted as (
    select
        *,
        case
            when has_groups then null
            when has_grid then grid_shift
            when is_detector_plane then slice_offset
        end as shift,
        {{ unit_normal('orientation') }} as normal
    from placed
)

select
    file_id,
    frame,
    frames,
    case
        when has_groups then 'functional_groups'
        when shift is null then 'none'
        when has_grid then 'grid_frame_offset_vector'
        else 'detector'
    end as geometry_source,
    case
        when has_groups then {{ numbers_of('ImagePositionPatient') }}
        when shift is not null
            then
                [
                    corner[1] + shift * normal[1],
                    corner[2] + shift * normal[2],
                    corner[3] + shift * normal[3]
                ]
    end as ImagePositionPatient,
    case
        when has_groups then {{ numbers_of('ImageOrientationPatient') }}
        when shift is not null then orientation
    end as ImageOrientationPatient,
    {{ numbers_of('PixelSpacing') }} as PixelSpacing,
    try_cast(SliceThickness as double) as SliceThickness,
    try_cast(SpacingBetweenSlices as double) as SpacingBetweenSlices,
    try_cast(RescaleSlope as double) as RescaleSlope,
    try_cast(RescaleIntercept as double) as RescaleIntercept,
    string_split(FrameType, chr(92)) as FrameType,
    try_cast(FrameAcquisitionNumber as bigint) as FrameAcquisitionNumber,
    try_cast(EffectiveEchoTime as double) as EffectiveEchoTime,
    try_cast(DiffusionBValue as double) as DiffusionBValue,
    try_cast(NominalCardiacTriggerDelayTime as double) as NominalCardiacTriggerDelayTime,
    try_cast(NominalPercentageOfCardiacPhase as double) as NominalPercentageOfCardiacPhase,
    try_cast(TemporalPositionIndex as bigint) as TemporalPositionIndex,
    StackID,
    try_cast(InStackPositionNumber as bigint) as InStackPositionNumber,
    coalesce({{ numbers_of('DimensionIndexValues', 'bigint') }}, vector_values)
        as dimension_indices,
    try_cast(ReferencedSegmentNumber as bigint) as ReferencedSegmentNumber,
    try_cast(FlipAngle as double) as FlipAngle,
    try_cast(KVP as double) as KVP,
    string_split(ConvolutionKernel, chr(92)) as ConvolutionKernel,
    offsets,
    frame_offset
from shifted
