{#- Long because values become text by VR, and texts are searched whole or word by word. -#}
with

path_values as not materialized (
    select
        source,
        patient_key,
        path,
        value_key,
        value,
        vr
    from {{ ref('int_series_path_values') }}
    where not is_empty

    union all

    select
        source,
        patient_key,
        path,
        value_key,
        value_key as value,
        vr
    from {{ ref('int_overridden_values') }}
),

sought as not materialized (
    select * from {{ ref('int_sought_words') }}
),

-- A component of a UID is often a small number: only longer ones mean something.
texts as not materialized (
    select
        source,
        patient_key,
        path,
        value_key,
        case
            when vr = 'UI' then value
            when vr = 'DT' then value[:8]
            when strlen(value) = length(value) then upper(value)
            else array_to_string({{ spellings('value') }}, ' ')
        end as text,
        case when vr = 'UI' then 6 else 3 end as shortest,
        vr = 'UI' as is_uid
    from path_values
    where
        vr in (
            'AE', 'CS', 'DA', 'DT', 'LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UI', 'UN', 'UR', 'UT'
        )

    union all

    select distinct
        source,
        patient_key,
        'folder' as path,
        folder as value_key,
        array_to_string({{ spellings('folder') }}, ' ') as text,
        3 as shortest,
        false as is_uid
    from {{ ref('images') }}
    where folder <> ''
),

few as (
    select
        source,
        patient_key
    from sought
    group by source, patient_key
    having count(*) <= 24
),

-- Texts of a patient with few words to look for are searched for each of them ...
hits as (
    select
        texts.*,
        sought.identifier,
        sought.forms,
        sought.all_words
    from texts
    inner join few using (source, patient_key)
    inner join sought using (source, patient_key)
    where
        texts.path <> sought.identifier
        and sought.longest >= texts.shortest
        and contains(texts.text, sought.stem)
        -- Hours, minutes and seconds are no date of two-digit years.
        and (length(sought.stem) > 2 or not regexp_matches(texts.text, '[0-9]:[0-9]'))
),

-- ... and those of the others are taken apart, so that words meet words. A long text stands in one
-- row: beside each of its words it would take the square of its length.
apart as materialized (
    select
        row_number() over () as number,
        texts.*,
        {{ words_of('texts.text', 'texts.is_uid') }} as words
    from texts
    anti join few using (source, patient_key)
),

text_words as (
    select
        number,
        unnest(list_distinct(string_split(words, ' '))) as word
    from apart
),

found as (
    select
        apart.source,
        apart.path,
        apart.value_key,
        sought.identifier,
        sought.forms,
        sought.all_words,
        apart.words
    from text_words
    inner join apart using (number)
    inner join sought using (source, patient_key, word)
    where
        length(text_words.word) >= apart.shortest
        and apart.path <> sought.identifier
),

matches as (
    select
        source,
        path,
        value_key,
        identifier,
        forms,
        all_words,
        {{ words_of('text', 'is_uid') }} as words
    from hits
    union all
    select * from found
)

select
    source,
    path,
    value_key,
    list_sort(list(distinct identifier)) as identifiers,
    bool_or(
        list_contains(forms, words) or list_has_all(all_words, string_split(trim(words), ' '))
    ) as is_whole
from matches
where len(list_filter(forms, lambda form: contains(words, form))) > 0
group by source, path, value_key
