-- A series has one frame of reference of each kind, so that their UIDs are the series' own; what
-- an IOD says of two entities is compared in neither. PixelPaddingValue follows the pixels.
with

sop_classes as (
    select distinct SOPClassUID as sop_class_uid
    from {{ ref('images') }}
),

statements as (
    select
        attributes.sop_class_uid,
        attributes.path,
        case
            when
                attributes.path = 'FrameOfReferenceUID' or attributes.module = 'synchronization'
                then 'series'
            else lower(replace(attributes.information_entity, ' ', '_'))
        end as entity
    from {{ source('standard', 'iod_attributes') }} as attributes
    inner join sop_classes on attributes.sop_class_uid = sop_classes.sop_class_uid
    where attributes.path not like '%.%' and attributes.path <> 'PixelPaddingValue'
),

unambiguous as (
    select
        sop_class_uid,
        path,
        min(entity) as entity
    from statements
    group by sop_class_uid, path
    having count(distinct entity) = 1
)

select
    sop_class_uid,
    path,
    entity
from unambiguous
where entity in ('patient', 'study', 'series', 'frame_of_reference', 'equipment')
