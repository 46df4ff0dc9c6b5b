-- What stands in a file beside the element that counts: a tag that is there more than once.
with

elements as (
    select
        file_id,
        patient_key,
        series_key,
        path,
        tag,
        keyword,
        vr,
        {{ text_key('vr', 'value') }} as value_key
    from {{ ref('stg_elements') }}
    where structural and contains(problem, 'overridden') and trim(value) <> ''
)

select
    files.source,
    elements.patient_key,
    elements.path,
    elements.value_key,
    min(elements.tag) as tag,
    min(elements.keyword) as keyword,
    min(elements.vr) as vr,
    count(distinct elements.file_id) as images,
    count(distinct elements.series_key) as series
from elements
inner join {{ ref('files') }} as files using (file_id)
group by files.source, elements.patient_key, elements.path, elements.value_key
