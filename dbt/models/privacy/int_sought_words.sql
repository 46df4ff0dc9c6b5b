{#- Long because names, other identifiers and dates are each spelled in ways of their own. -#}
with

path_values as not materialized (
    select
        source,
        patient_key,
        path,
        vr,
        value
    from {{ ref('int_series_path_values') }}
    where not is_empty

    union all

    select
        source,
        patient_key,
        path,
        vr,
        value_key as value
    from {{ ref('int_overridden_values') }}
),

identifiers as (
    select * from {{ ref('identifiers') }}
),

identifying as (
    select distinct
        path_values.source,
        path_values.patient_key,
        path_values.path,
        path_values.vr = 'PN' as is_name,
        identifiers.shortest,
        path_values.value
    from path_values
    inner join identifiers on path_values.path = identifiers.keyword
),

-- Beside each of many components all words would take the square of their number.
parts as (
    select
        * exclude (value),
        case
            when length(value) <= 1000
                then
                    string_split(
                        trim({{ searchable(
                            "array_to_string(" ~ spellings('value') ~ ", ' ')"
                        ) }}),
                        ' '
                    )
            else []
        end as all_words,
        unnest(string_split_regex(value, '[\\=]')) as text
    from identifying
),

spelled as (
    select
        * exclude (text),
        unnest({{ spellings('text') }}) as text
    from parts
),

-- The components of a name, and the values of an element, are identifiers of their own.
components as (
    select
        * exclude (text),
        list_transform(string_split(text, '^')[:2], lambda x: trim({{ searchable('x') }})) as whole,
        unnest(list_transform(string_split(text, '^'), lambda x: {{ searchable('x') }})) as words
    from spelled
),

compact as (
    select distinct
        source,
        patient_key,
        path,
        shortest,
        is_name,
        all_words,
        words,
        replace(words, ' ', '') as letters,
        case
            when
                is_name and len(whole) = 2
                and list_contains(whole, trim(words)) and not list_contains(whole, '')
                then whole
            else []
        end as whole
    from components
    where trim(words) <> ''
),

-- In Chinese, Japanese and Korean nothing parts the words of a name.
written as (
    select
        *,
        array_to_string(whole, '') as joined,
        list_max(list_transform(whole, lambda x: length(x))) < shortest as is_short,
        coalesce(nullif(joined, ''), letters) as unspaced,
        regexp_matches(
            unspaced,
            '^[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]{3,}$'
        ) as has_no_spaces,
        regexp_replace(words, '([A-Z])([0-9])|([0-9])([A-Z])', '\1\3 \2\4', 'g') as pieces
    from compact
),

-- A name's parts may stand joined in either order, and short ones mean something together only.
-- Of other identifiers the punctuation may be gone, or the zeros that a number begins with.
forms as (
    select
        * exclude (whole),
        case
            when is_name
                then
                    list_concat(
                        case when length(letters) >= shortest then [words] else [] end,
                        case
                            when is_short
                                then
                                    [
                                        concat(' ', whole[1], ' ', whole[2], ' '),
                                        concat(' ', whole[2], ' ', whole[1], ' ')
                                    ]
                            else []
                        end,
                        case
                            when has_no_spaces then [unspaced]
                            when length(joined) >= 6
                                then
                                    [
                                        concat(' ', replace(joined, ' ', ''), ' '),
                                        concat(' ', replace(whole[2] || whole[1], ' ', ''), ' ')
                                    ]
                            else []
                        end
                    )
            when length(letters) >= shortest
                then
                    list_concat(
                        [words, concat(' ', letters, ' '), pieces],
                        case
                            when regexp_matches(letters, '^0+[1-9][0-9]{4,}$')
                                then [concat(' ', ltrim(letters, '0'), ' ')]
                            else []
                        end
                    )
            else []
        end as forms,
        {{ longest_word('words') }} as word,
        ltrim({{ longest_word('pieces') }}, '0') as piece
    from written
    where length(letters) >= shortest or (is_short and trim(words) = whole[1])
),

stems as (
    select
        *,
        case when is_name or length(piece) < 4 then word else piece end as stem
    from forms
    where len(forms) > 0
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
        unnest([
            strftime(born, '%Y'),
            strftime(born, '%y'),
            strftime(born, '%d%m%Y'),
            strftime(born, '%m%d%Y')
        ]) as word
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

-- Each is looked for by a part that all its forms have, or by its longest word; a date by its year.
select
    source,
    patient_key,
    path as identifier,
    list_sort(list_distinct(list_filter(forms, lambda form: contains(form, stem)))) as forms,
    all_words,
    greatest(length(word), 3) as longest,
    word,
    stem
from stems

union all

select
    source,
    patient_key,
    path as identifier,
    list_transform(forms, lambda x: upper(x)) as forms,
    [] as all_words,
    greatest(length(word), 3) as longest,
    word,
    word as stem
from written_dates
