with

images as (
    select
        *,
        -- Rounding far below the tolerance leaves few distinct orientations to compare.
        [round(x, 5) + 0.0 for x in ImageOrientationPatient] as orientation
    from {{ ref('int_series_images') }}
    where
        is_slice
        and list_dot_product(ImageOrientationPatient[1:3], ImageOrientationPatient[1:3]) > 0
        and list_dot_product(ImageOrientationPatient[4:6], ImageOrientationPatient[4:6]) > 0
),

orientations as (
    select
        source,
        series_key,
        orientation,
        row_number() over (
            partition by source, series_key order by count(*) desc, orientation
        ) as rank
    from images
    group by source, series_key, orientation
),

-- An orientation belongs to the stack of the commonest one that it agrees with.
stacks as (
    select
        orientations.source,
        orientations.series_key,
        orientations.orientation,
        min(leaders.rank) as stack
    from orientations
    inner join orientations as leaders
        on
            orientations.source = leaders.source
            and orientations.series_key = leaders.series_key
            and orientations.rank >= leaders.rank
    where
        orientations.rank = leaders.rank
        or (
            list_cosine_similarity(orientations.orientation[1:3], leaders.orientation[1:3])
            >= 1 - {{ tolerance('mixed_orientation') }}
            and list_cosine_similarity(orientations.orientation[4:6], leaders.orientation[4:6])
            >= 1 - {{ tolerance('mixed_orientation') }}
        )
    group by orientations.source, orientations.series_key, orientations.orientation
),

crossed as (
    select
        source,
        series_key,
        rank as stack,
        [
            orientation[2] * orientation[6] - orientation[3] * orientation[5],
            orientation[3] * orientation[4] - orientation[1] * orientation[6],
            orientation[1] * orientation[5] - orientation[2] * orientation[4]
        ] as normal
    from orientations
),

placed as (
    select
        images.source,
        images.series_key,
        images.file_id,
        images.path,
        stacks.stack,
        crossed.normal,
        images.ImagePositionPatient,
        images.InstanceNumber,
        hash(
            images.AcquisitionNumber,
            images.EchoTime,
            images.DiffusionBValue,
            images.TriggerTime,
            images.TemporalPositionIdentifier,
            images.ImageType
        ) as dimension,
        list_dot_product(images.ImagePositionPatient, crossed.normal)
        / sqrt(list_dot_product(crossed.normal, crossed.normal)) as position
    from images
    inner join stacks
        on
            images.source = stacks.source
            and images.series_key = stacks.series_key
            and images.orientation = stacks.orientation
    inner join crossed
        on
            stacks.source = crossed.source
            and stacks.series_key = crossed.series_key
            and stacks.stack = crossed.stack
    -- Directions that are zero or parallel span no plane.
    where list_dot_product(crossed.normal, crossed.normal) > 0
),

stepped as (
    select
        *,
        position - lag(position) over (
            partition by source, series_key, stack order by position, path
        ) as step
    from placed
),

-- Steps beyond the tolerance tell the spacing; only finer stacks are measured by all steps.
scales as (
    select
        source,
        series_key,
        stack,
        least(
            {{ tolerance('duplicate_position') }},
            coalesce(
                quantile_disc(step, 0.5) filter (step > {{ tolerance('duplicate_position') }}),
                quantile_disc(step, 0.5) filter (step > 1e-6),
                1
            ) / 10
        ) as one_position
    from stepped
    group by source, series_key, stack
)

select
    stepped.source,
    stepped.series_key,
    stepped.stack,
    count(*) filter (coalesce(stepped.step > scales.one_position, true)) over (
        partition by stepped.source, stepped.series_key, stepped.stack
        order by stepped.position, stepped.path
    ) as slot,
    stepped.file_id,
    stepped.path,
    stepped.position,
    stepped.normal,
    stepped.ImagePositionPatient,
    stepped.InstanceNumber,
    stepped.dimension
from stepped
inner join scales
    on
        stepped.source = scales.source
        and stepped.series_key = scales.series_key
        and stepped.stack = scales.stack
