with

path_values as not materialized (
    select * from {{ ref('int_series_path_values') }}
    where not is_empty
),

identifiers as (
    select * from {{ ref('identifiers') }}
),

-- The components of a name, and the values of an element, are identifiers of their own.
parts as (
    select
        path_values.source,
        path_values.patient_key,
        path_values.path,
        identifiers.shortest,
        unnest(string_split_regex(path_values.value, '[\\^=]')) as text
    from path_values
    inner join identifiers on path_values.path = identifiers.keyword
),

components as (
    select distinct
        source,
        patient_key,
        path,
        shortest,
        {{ searchable('text') }} as words
    from parts
),

-- Each is looked for by its longest word.
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

-- A component of a UID is often a small number: only longer ones mean something.
texts as not materialized (
    select
        source,
        patient_key,
        path,
        value_key,
        case when vr = 'UI' then value else upper(value) end as text,
        case when vr = 'UI' then 6 else 3 end as shortest,
        vr = 'UI' as is_uid
    from path_values
    where vr in ('AE', 'CS', 'LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UI', 'UN', 'UR', 'UT')
),

few as (
    select
        source,
        patient_key
    from sought
    group by source, patient_key
    having count(*) <= 20
),

-- Texts of a patient with few words to look for are searched for each of them ...
hits as (
    select
        texts.*,
        sought.identifier,
        sought.words as sought_words
    from texts
    inner join few using (source, patient_key)
    inner join sought using (source, patient_key)
    where
        texts.path <> sought.identifier
        and sought.longest >= texts.shortest
        and contains(texts.text, sought.word)
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
        sought.words as sought_words,
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
        sought_words,
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
    bool_or(sought_words = words) as is_whole
from matches
where contains(words, sought_words)
group by source, path, value_key
