-- Such files have no Modality, by which the lake is divided.
with

elements as (
    select
        file_id,
        path,
        tag,
        keyword,
        vr,
        {{ text_key('vr', 'value') }} as value_key
    from {{ ref('stg_elements') }}
    where
        Modality is null
        and patient_key is null
        and not structural
        and vr <> 'SQ'
        and trim(value) <> ''
)

select
    files.source,
    elements.path,
    elements.value_key,
    min(elements.tag) as tag,
    min(elements.keyword) as keyword,
    min(elements.vr) as vr,
    list_sort(list(distinct files.folder)) as folders
from elements
inner join {{ ref('files') }} as files on elements.file_id = files.file_id
group by files.source, elements.path, elements.value_key
