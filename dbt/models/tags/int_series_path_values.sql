{#- Long because the one form of a value depends on its VR, and only few are worth grouping. -#}
with

counts as (
    select
        *,
        contains(content, chr(31)) as has_items,
        contains(content, chr(31)) or contains(content, '\') as is_parted
    from {{ source('lake', 'value_counts') }}
),

-- Said once: each mention of a form would be planned by itself, which takes long.
formed as not materialized (
    select
        *,
        case
            when {{ has_forms('vr') }} and is_parted
                then array_to_string(
                    [
                        array_to_string(
                            [{{ form_key('vr', 'x') }} for x in string_split(item, '\')], '\'
                        )
                        for item in string_split(content, chr(31))
                    ],
                    chr(31)
                )
            when {{ has_forms('vr') }} then {{ form_key('vr', 'content') }}
            else content
        end as plain
    from counts
),

-- Made anew by each that needs it: kept in memory it would take more than all other models.
said as not materialized (
    select
        source,
        Modality,
        patient_key,
        study_key,
        series_key,
        path,
        case
            when vr = 'SQ' or is_bulk then content
            when main.is_number(vr) and has_items
                then array_to_string(
                    [
                        array_to_string({{ number_keys('item') }}, '\')
                        for item in string_split(content, chr(31))
                    ],
                    chr(31)
                )
            when main.is_number(vr) and is_parted
                then array_to_string({{ number_keys('content') }}, '\')
            when main.is_number(vr)
                then {{ number_key('content') }}
            when {{ has_forms('vr') }} then plain
            -- Spaces around a value or an item are padding.
            when is_parted
                then trim(regexp_replace(content, ' *([\\\x1F]) *', '\1', 'g'))
            else trim(content)
        end as value_key,
        vm = 0 as is_empty,
        case
            when is_bulk then regexp_replace(content, ':[^' || chr(31) || ']*', ' bytes', 'g')
            when vr = 'SQ' then replace(content, chr(31), ' item(s)' || chr(31)) || ' item(s)'
            else content
        end as value,
        tag,
        vr,
        vm,
        number_min,
        coalesce(number_max, number_min) as number_max,
        coalesce(number_mean, number_min) as number_mean,
        is_unread,
        images,
        case when is_invalid then images else 0 end as invalid_images,
        example_file_id,
        -- The same wherever value_key is, whatever the VR, and quicker to make.
        hash(
            series_key,
            path,
            case
                when has_items then null
                when is_parted
                    then hash([{{ number_mark('x') }} for x in string_split(plain, '\')])
                else {{ number_mark('plain') }}
            end
        ) as mark
    from formed
),

-- Few values come in several rows: those of a series in several parts, or of several texts with
-- one meaning. To group the others would take most of the time; a mark that two share by chance
-- costs nothing else.
repeated as (
    select mark from said
    group by mark
    having count(*) > 1
),

counted as (
    select * exclude (mark) from said
    where mark not in (select repeated.mark from repeated)

    union all by name

    select
        source,
        Modality,
        patient_key,
        study_key,
        series_key,
        path,
        value_key,
        is_empty,
        min(value) as value,
        min(tag) as tag,
        min(vr) as vr,
        max(vm) as vm,
        min(number_min) as number_min,
        max(number_max) as number_max,
        min(number_mean) as number_mean,
        bool_or(is_unread) as is_unread,
        sum(images)::bigint as images,
        sum(invalid_images)::bigint as invalid_images,
        min(example_file_id) as example_file_id
    from said
    where mark in (select repeated.mark from repeated)
    group by source, Modality, patient_key, study_key, series_key, path, value_key, is_empty
)

select
    source,
    Modality,
    patient_key,
    study_key,
    series_key,
    path,
    value_key,
    is_empty,
    replace(value, chr(31), ' | ') as value,
    tag,
    vr,
    vm,
    number_min,
    number_max,
    number_mean,
    coalesce(
        contains(value_key, chr(31))
        and len(list_distinct(string_split(value_key, chr(31)))) > 1,
        false
    ) as varies_in_image,
    is_unread,
    images,
    invalid_images,
    example_file_id
from counted
