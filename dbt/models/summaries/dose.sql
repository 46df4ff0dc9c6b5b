with

images as not materialized (
    select * from {{ ref('images') }}
),

events as (
    select
        *,
        left(regexp_replace(trim(started_at), '[.+-].*$', ''), 14) as begun
    from {{ ref('int_dose_events') }}
),

reported as (
    select
        source,
        patient_key,
        study_key,
        series_key,
        file_id,
        node,
        'report' as origin,
        case when is_ct then 'CT' else 'projection' end as kind,
        1 as images,
        event_uid,
        row_number() over (
            partition by source, coalesce(event_uid, file_id || ' ' || node)
            order by file_id, node
        ) > 1 as is_repeated,
        -- As it was written there: parts that are missing are the lowest, an offset says nothing.
        try_strptime(
            concat(begun, substr('00000101000000', length(begun) + 1)), '%Y%m%d%H%M%S'
        ) as started_at,
        protocol,
        target_region,
        acquisition_type,
        acquisition_plane,
        kvp_kv,
        tube_current_ma,
        exposure_time_ms,
        scanning_length_mm,
        ctdi_vol_mgy,
        phantom,
        dlp_mgy_cm,
        dose_area_product_gy_cm2,
        reference_point_dose_mgy,
        average_glandular_dose_mgy,
        'unknown unit of ' || array_to_string(unread, ', ') as problem
    from events
),

-- What the headers of a series' images say, without localizers or any other distinction.
stated as (
    select
        source,
        min(patient_key) as patient_key,
        min(study_key) as study_key,
        series_key,
        'image' as origin,
        false as is_repeated,
        case when min(Modality) = 'CT' then 'CT' else 'projection' end as kind,
        count(*) as images,
        min(SeriesDate + SeriesTime) as started_at,
        min(ProtocolName) as protocol,
        min(BodyPartExamined) as target_region,
        -- Doubles in a fixed order, so that the last digit is always the same.
        avg(KVP order by KVP) as kvp_kv,
        avg(XRayTubeCurrent) as tube_current_ma,
        avg(ExposureTime) as exposure_time_ms,
        avg(CTDIvol order by CTDIvol) as ctdi_vol_mgy,
        -- dGy.cm2 and dGy in a header
        sum(
            ImageAndFluoroscopyAreaDoseProduct order by ImageAndFluoroscopyAreaDoseProduct
        ) / 10 as dose_area_product_gy_cm2,
        avg(OrganDose order by OrganDose) * 100 as average_glandular_dose_mgy
    from images
    where
        KVP is not null
        or XRayTubeCurrent is not null
        or ExposureTime is not null
        or CTDIvol is not null
        or ImageAndFluoroscopyAreaDoseProduct is not null
        or OrganDose is not null
    group by source, series_key
)

-- Each tells what the other cannot.
select * from reported  -- noqa: AM07
union all by name
select * from stated
