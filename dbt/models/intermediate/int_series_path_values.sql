with

said as not materialized (
    select
        *,
        case
            when vr = 'SQ' or is_bulk then content
            -- `+ 0.0` makes a zero of a negative zero; what is no number stays text.
            when
                vr in ('DS', 'IS', 'FL', 'FD')
                and (contains(content, '\') or contains(content, chr(31)))
                then array_to_string(
                    list_transform(
                        string_split(content, chr(31)),
                        lambda item: array_to_string(
                            list_transform(
                                string_split(item, '\'),
                                lambda x: coalesce((try_cast(x as double) + 0.0)::varchar, trim(x))
                            ),
                            '\'
                        )
                    ),
                    chr(31)
                )
            when vr in ('DS', 'IS', 'FL', 'FD')
                then coalesce((try_cast(content as double) + 0.0)::varchar, trim(content))
            -- Spaces around a value or an item are padding.
            when contains(content, '\') or contains(content, chr(31))
                then trim(regexp_replace(content, ' *([\\\x1F]) *', '\1', 'g'))
            else trim(content)
        end as value_key
    from {{ source('lake', 'value_counts') }}
)

-- Of a series in several parts, and of several texts with one meaning, the counts are added up.
select
    source,
    Modality,
    patient_key,
    study_key,
    series_key,
    path,
    value_key,
    vm = 0 as is_empty,
    replace(
        min(
            case
                when vr = 'SQ' then replace(content, chr(31), ' item(s)' || chr(31)) || ' item(s)'
                when is_bulk then regexp_replace(content, ':[^' || chr(31) || ']*', ' bytes', 'g')
                else content
            end
        ),
        chr(31), ' | '
    ) as value,
    min(tag) as tag,
    min(vr) as vr,
    max(vm) as vm,
    min(number_min) as number_min,
    max(coalesce(number_max, number_min)) as number_max,
    min(coalesce(number_mean, number_min)) as number_mean,
    coalesce(
        contains(value_key, chr(31))
        and len(list_distinct(string_split(value_key, chr(31)))) > 1,
        false
    ) as varies_in_image,
    bool_or(is_unread) as is_unread,
    sum(images)::bigint as images,
    coalesce(sum(images) filter (is_invalid), 0)::bigint as invalid_images,
    min(example_file_id) as example_file_id
from said
group by
    source, Modality, patient_key, study_key, series_key, path, value_key, vm = 0
