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

identifiers as (
    select * from {{ ref('identifiers') }}
),

-- The components of a name, and the values of an element, are identifiers of their own.
-- Beside each of many components all words would take the square of their number.
parts as (
    select
        path_values.source,
        path_values.patient_key,
        path_values.path,
        identifiers.shortest,
        case
            when length(path_values.value) <= 1000
                then string_split(trim({{ searchable('path_values.value') }}), ' ')
            else []
        end as all_words,
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
        all_words,
        {{ searchable('text') }} as words
    from parts
),

birth_dates as (
    select distinct
        source,
        patient_key,
        path,
        try_strptime(replace(trim(value), '.', ''), '%Y%m%d') as born
    from path_values
    where path = 'PatientBirthDate'
),

dated_words as (
    select
        *,
        unnest([strftime(born, '%Y'), strftime(born, '%d%m%Y'), strftime(born, '%m%d%Y')]) as word
    from birth_dates
    where born is not null
),

-- The many ways to write a date, of which all that are words have the year as one.
written_dates as (
    select
        source,
        patient_key,
        path,
        word,
        case
            when length(word) > 4 then [concat(' ', word, ' ')]
            else
                flatten([
                    flatten([
                        [
                            concat(' ', day, ' ', month, ' ', word, ' '),
                            concat(' ', month, ' ', day, ' ', word, ' '),
                            concat(' ', word, ' ', month, ' ', day, ' ')
                        ]
                        for month in [
                            strftime(born, '%m'),
                            strftime(born, '%-m'),
                            strftime(born, '%b'),
                            strftime(born, '%B')
                        ]
                    ])
                    for day in [strftime(born, '%d'), strftime(born, '%-d')]
                ])
        end as forms
    from dated_words
),

-- Each is looked for by its longest word, a date by its year.
sought as (
    select
        source,
        patient_key,
        path as identifier,
        [words] as forms,
        all_words,
        list_max(list_transform(string_split(trim(words), ' '), lambda x: length(x))) as longest,
        list_filter(string_split(trim(words), ' '), lambda x: length(x) = longest)[1] as word
    from components
    where length(replace(words, ' ', '')) >= shortest

    union all

    select
        source,
        patient_key,
        path as identifier,
        list_transform(forms, lambda x: upper(x)) as forms,
        [] as all_words,
        length(word) as longest,
        word
    from written_dates
),

folders as (
    select distinct
        source,
        patient_key,
        folder
    from {{ ref('images') }}
    where folder <> ''
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
            else upper(value)
        end as text,
        case when vr = 'UI' then 6 else 3 end as shortest,
        vr = 'UI' as is_uid
    from path_values
    where
        vr in (
            'AE', 'CS', 'DA', 'DT', 'LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UI', 'UN', 'UR', 'UT'
        )

    union all

    select
        source,
        patient_key,
        'folder' as path,
        folder as value_key,
        upper(folder) as text,
        3 as shortest,
        false as is_uid
    from folders
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
        sought.forms,
        sought.all_words
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
