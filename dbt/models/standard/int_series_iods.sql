with

images as not materialized (
    select
        source,
        series_key,
        SOPClassUID
    from {{ ref('images') }}
),

sop_classes as not materialized (
    select * from {{ source('standard', 'sop_classes') }}
)

select
    images.source,
    images.series_key,
    coalesce(sop_classes.iod, '') as iod,
    count(*) as images,
    count(*) over (partition by images.source, images.series_key) > 1 as is_mixed
from images
left join sop_classes on images.SOPClassUID = sop_classes.sop_class_uid
group by images.source, images.series_key, sop_classes.iod
