with

elements as (
    select * from {{ ref('stg_elements') }}
    where patient_key is not null and not structural
),

-- Two private blocks of one creator, or of none, give two elements at one path.
doubled_blocks as (
    select file_id from {{ ref('stg_elements') }}
    where depth = 0 and ((structural and path like '(%') or path like '(____,?,%')
    group by file_id, path
    having count(*) > 1
),

marked as (
    select
        *,
        depth > 0
        or (
            path like '(%'
            and file_id in (select doubled_blocks.file_id from doubled_blocks)
        ) as is_listed
    from elements
),

-- What one image says at a path that may come often: its values in the order of the file.
listed as (
    select
        source,
        patient_key,
        study_key,
        series_key,
        file_id,
        path,
        min(tag) as tag,
        min(vr) as vr,
        max(vm) as vm,
        string_agg(coalesce(value, ''), chr(31) order by position) as value,
        min(number) as number_min,
        max(number) as number_max,
        avg(number order by position) as number_mean,
        string_agg(coalesce(n_bytes, 0), chr(31) order by position)
        filter (vm > 0 and value is null and vr <> 'SQ') as bulk_bytes,
        string_agg(coalesce(digest, ''), chr(31) order by position)
        filter (vm > 0 and value is null and vr <> 'SQ') as digest,
        string_agg(coalesce(try_cast(number as bigint), 0), chr(31) order by position)
        filter (vr = 'SQ') as sequence_items,
        bool_or(coalesce(problem_class = 'value', false)) as is_invalid
    from marked
    where is_listed
    group by source, patient_key, study_key, series_key, file_id, path
),

-- Equal texts are counted first, so that the canonical form is made once for each of them.
counted as (
    select
        source,
        patient_key,
        study_key,
        series_key,
        path,
        tag,
        vr,
        vm,
        value,
        number as number_min,
        number as number_max,
        number as number_mean,
        case when vm > 0 and value is null and vr <> 'SQ' then n_bytes::varchar end as bulk_bytes,
        digest,
        case when vr = 'SQ' then try_cast(number as bigint)::varchar end as sequence_items,
        count(*) as images,
        count(*) filter (problem_class = 'value') as invalid_images,
        min(file_id) as example_file_id
    from marked
    where not is_listed
    group by all

    union all

    select
        source,
        patient_key,
        study_key,
        series_key,
        path,
        tag,
        vr,
        vm,
        value,
        number_min,
        number_max,
        number_mean,
        bulk_bytes,
        digest,
        sequence_items,
        count(*) as images,
        count(*) filter (is_invalid) as invalid_images,
        min(file_id) as example_file_id
    from listed
    group by all
),

keyed as (
    select
        *,
        vm = 0 as is_empty,
        case
            when vm = 0 then null
            when sequence_items is not null then string_split(sequence_items, chr(31))
            when bulk_bytes is not null
                then list_transform(
                    list_zip(string_split(bulk_bytes, chr(31)), string_split(digest, chr(31))),
                    lambda x: concat(x[1], ':', x[2])
                )
            -- `+ 0.0` makes a zero of a negative zero; what is no number stays text.
            when vr in ('DS', 'IS', 'FL', 'FD')
                then list_transform(
                    string_split(value, chr(31)),
                    lambda item: array_to_string(
                        list_transform(
                            string_split(item, '\'),
                            lambda x: coalesce((try_cast(x as double) + 0.0)::varchar, trim(x))
                        ),
                        '\'
                    )
                )
            else list_transform(
                string_split(value, chr(31)),
                lambda item: trim(regexp_replace(item, ' *\\ *', '\\', 'g'))
            )
        end as item_keys
    from counted
)

select
    source,
    patient_key,
    study_key,
    series_key,
    path,
    array_to_string(item_keys, chr(31)) as value_key,
    is_empty,
    replace(
        min(
            case
                when vr = 'SQ' then sequence_items || ' item(s)'
                else coalesce(bulk_bytes || ' bytes', value)
            end
        ),
        chr(31), ' | '
    ) as value,
    min(tag) as tag,
    min(vr) as vr,
    max(vm) as vm,
    min(number_min) as number_min,
    max(number_max) as number_max,
    min(number_mean) as number_mean,
    coalesce(len(list_distinct(item_keys)) > 1, false) as varies_in_image,
    sum(images)::bigint as images,
    sum(invalid_images)::bigint as invalid_images,
    min(example_file_id) as example_file_id
from keyed
group by source, patient_key, study_key, series_key, path, item_keys, is_empty
