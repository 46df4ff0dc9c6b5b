with

elements as (
    select
        source,
        patient_key,
        study_key,
        series_key,
        file_id,
        item,
        path,
        value,
        number
    from {{ ref('stg_elements') }}
    where
        Modality = 'SR'
        and series_key is not null
        and keyword in (
            'CodeValue', 'CodingSchemeDesignator', 'CodeMeaning', 'NumericValue', 'TextValue',
            'UID', 'DateTime'
        )
        and path like 'ContentSequence.%'
),

-- The containers that hold an irradiation event: of CT, of projection X-rays (PS3.16 TID 10013 and
-- 10003).
reports as (
    select distinct file_id
    from elements
    where
        path like '%.ConceptNameCodeSequence.CodeValue'
        and value in ('113819', '113706')
),

-- A content item is known by the numbers of the ContentSequences that lead to it.
parts as (
    select
        * exclude (path, item),
        regexp_extract(path, '^(ContentSequence\.)+(.*)$', 2) as part,
        array_to_string(
            string_split(item, '.')[
                1:(length(path) - length(part)) // length('ContentSequence.')
            ],
            '.'
        ) as node
    from elements
    semi join reports using (file_id)
),

items as (
    select
        source,
        patient_key,
        study_key,
        series_key,
        file_id,
        node,
        max(value) filter (part = 'ConceptNameCodeSequence.CodingSchemeDesignator') as scheme,
        max(value) filter (part = 'ConceptNameCodeSequence.CodeValue') as code,
        max(number) filter (part = 'MeasuredValueSequence.NumericValue') as number,
        max(value) filter (
            part = 'MeasuredValueSequence.MeasurementUnitsCodeSequence.CodeValue'
        ) as unit,
        max(value) filter (
            part in ('ConceptCodeSequence.CodeMeaning', 'TextValue', 'UID', 'DateTime')
        ) as words
    from parts
    group by source, patient_key, study_key, series_key, file_id, node
),

events as (
    select
        * exclude (scheme, code, number, unit, words),
        code = '113819' as is_ct
    from items
    where scheme = 'DCM' and code in ('113819', '113706')
),

measured as (
    select
        items.file_id,
        items.node,
        concepts.concept,
        items.words,
        items.number * units.factor as number,
        items.number is not null and units.factor is null as has_unknown_unit
    from items
    inner join {{ ref('dose_concepts') }} as concepts
        on items.scheme = concepts.scheme and items.code = concepts.code
    left join {{ ref('dose_units') }} as units
        on items.unit = units.unit and concepts.unit = units.in_unit
)

select
    events.source,
    events.patient_key,
    events.study_key,
    events.series_key,
    events.file_id,
    events.node,
    events.is_ct,
    {% for concept in [
        'event_uid', 'started_at', 'protocol', 'target_region', 'acquisition_type',
        'acquisition_plane', 'phantom',
    ] -%}
    min(measured.words) filter (measured.concept = '{{ concept }}') as {{ concept }},
    {% endfor -%}
    {% for concept in [
        'kvp_kv', 'tube_current_ma', 'exposure_time_ms', 'scanning_length_mm', 'ctdi_vol_mgy',
        'dlp_mgy_cm', 'dose_area_product_gy_cm2', 'reference_point_dose_mgy',
        'average_glandular_dose_mgy',
    ] -%}
    max(measured.number) filter (measured.concept = '{{ concept }}') as {{ concept }},
    {% endfor -%}
    list_sort(list(distinct measured.concept) filter (measured.has_unknown_unit)) as unread
from events
left join measured
    on
        events.file_id = measured.file_id
        and starts_with(measured.node, events.node || '.')
group by all
