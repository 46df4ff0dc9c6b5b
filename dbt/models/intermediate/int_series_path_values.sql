with

elements as not materialized (
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

-- What an element says: its text; a sequence its number of items, bulk data length and digest.
said as not materialized (
    select
        source,
        Modality,
        patient_key,
        study_key,
        series_key,
        file_id,
        position,
        path,
        tag,
        vr,
        vm,
        number,
        vm > 0 and value is null and vr <> 'SQ' as is_bulk,
        vm > 0 and value is null and vr <> 'SQ' and digest is null as is_unread,
        case
            when vr = 'SQ' and vm > 0 then try_cast(number as bigint)::varchar
            when vm > 0 and value is null then concat(n_bytes, ':', digest)
            else value
        end as content,
        coalesce(problem_class = 'value', false) as is_invalid,
        depth > 0
        or (
            path like '(%'
            and file_id in (select doubled_blocks.file_id from doubled_blocks)
        ) as is_listed
    from elements
),

-- What one image says at a path that may come often: its contents in the order of the file.
said_by_image as (
    select
        source,
        Modality,
        patient_key,
        study_key,
        series_key,
        file_id,
        path,
        tag,
        vr,
        vm,
        content,
        is_bulk,
        is_unread,
        is_invalid,
        number as number_min,
        number as number_max,
        number as number_mean
    from said
    where not is_listed

    union all

    select
        source,
        Modality,
        patient_key,
        study_key,
        series_key,
        file_id,
        path,
        min(tag) as tag,
        min(vr) as vr,
        max(vm) as vm,
        string_agg(coalesce(content, ''), chr(31) order by position) as content,
        bool_or(is_bulk) as is_bulk,
        bool_or(is_unread) as is_unread,
        bool_or(is_invalid) as is_invalid,
        min(number) as number_min,
        max(number) as number_max,
        avg(number order by position) as number_mean
    from said
    where is_listed
    group by source, Modality, patient_key, study_key, series_key, file_id, path
),

-- Equal texts are counted first, so that the canonical form is made once for each of them.
counted as (
    select
        source,
        Modality,
        patient_key,
        study_key,
        series_key,
        path,
        vr,
        vm = 0 as is_empty,
        is_bulk,
        case when vm > 0 then content end as content,
        min(tag) as tag,
        max(vm) as vm,
        min(number_min) as number_min,
        max(number_max) as number_max,
        min(number_mean) as number_mean,
        bool_or(is_unread) as is_unread,
        count(*) as images,
        count(*) filter (is_invalid) as invalid_images,
        min(file_id) as example_file_id
    from said_by_image
    group by
        source, Modality, patient_key, study_key, series_key, path, vr, vm = 0, is_bulk,
        case when vm > 0 then content end
),

keyed as (
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
    from counted
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
    max(number_max) as number_max,
    min(number_mean) as number_mean,
    coalesce(
        contains(value_key, chr(31))
        and len(list_distinct(string_split(value_key, chr(31)))) > 1,
        false
    ) as varies_in_image,
    bool_or(is_unread) as is_unread,
    sum(images)::bigint as images,
    sum(invalid_images)::bigint as invalid_images,
    min(example_file_id) as example_file_id
from keyed
group by source, Modality, patient_key, study_key, series_key, path, value_key, is_empty
