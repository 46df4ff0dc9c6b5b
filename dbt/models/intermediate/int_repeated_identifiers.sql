with

path_values as (
    select * from {{ ref('int_series_path_values') }}
    where not is_empty
),

identifiers as (
    select * from {{ ref('identifiers') }}
),

-- The components of a name, and the values of an element, are identifiers of their own.
components as (
    select distinct
        path_values.source,
        path_values.patient_key,
        path_values.path,
        identifiers.shortest,
        {{ searchable('component.text') }} as words
    from path_values
    inner join identifiers on path_values.path = identifiers.keyword
    cross join unnest(string_split_regex(path_values.value, '[\\^=]')) as component (text)
),

sought as (
    select
        source,
        patient_key,
        path as identifier,
        words,
        list_max(list_transform(string_split(trim(words), ' '), lambda x: length(x))) as longest,
        list_filter(string_split(trim(words), ' '), lambda x: length(x) = longest)[1] as word
    from components
    where length(replace(words, ' ', '')) >= shortest
),

texts as (
    select
        source,
        patient_key,
        path,
        vr,
        value_key,
        case
            when vr = 'UI' then concat(' ', replace(value, '.', ' '), ' ')
            else {{ searchable('value') }}
        end as words
    from path_values
    where vr in ('AE', 'CS', 'LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UI', 'UN', 'UR', 'UT')
),

-- A component of a UID is often a small number: only longer ones mean something.
text_words as (
    select
        texts.*,
        parts.word
    from texts
    cross join unnest(string_split(texts.words, ' ')) as parts (word)
    where length(parts.word) >= case when texts.vr = 'UI' then 6 else 3 end
)

select
    text_words.source,
    text_words.path,
    text_words.value_key,
    list_sort(list(distinct sought.identifier)) as identifiers,
    bool_or(sought.words = text_words.words) as is_whole
from text_words
inner join sought
    on
        text_words.source = sought.source
        and text_words.patient_key = sought.patient_key
        and text_words.word = sought.word
        and text_words.path <> sought.identifier
where contains(text_words.words, sought.words)
group by text_words.source, text_words.path, text_words.value_key
