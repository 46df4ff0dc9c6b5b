with

path_values as not materialized (
    select
        source,
        patient_key,
        path,
        value
    from {{ ref('int_series_path_values') }}
    where not is_empty

    union all

    select
        source,
        patient_key,
        path,
        value_key as value
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
)

-- Each is looked for by its longest word, a date by its year.
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
