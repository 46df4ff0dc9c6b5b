-- What images say at each path, and how many say it, grouped from the rows of `elements` alone:
-- what the extraction counts from its own codes.
with

elements as (
    select
        *,
        vm > 0 and value is null and (vr <> 'SQ' or number is null) as is_bulk,
        case
            when vm = 0 then null
            when vr = 'SQ' and number is not null then try_cast(number as bigint)::varchar
            when value is null then concat(n_bytes, ':', digest)
            else value
        end as content
    from lake_elements
    where patient_key is not null and not structural
),

said as (
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
        case
            when max(vm) > 0
                then string_agg(coalesce(content, ''), chr(31) order by position)
        end as content,
        bool_or(is_bulk) as is_bulk,
        bool_or(is_bulk and digest is null) as is_unread,
        bool_or(coalesce(problem_class = 'value', false)) as is_invalid,
        bool_or(vm = 0) as has_empty,
        count(*)::integer as elements,
        coalesce(sum(number) filter (vr = 'SQ'), 0)::bigint as items,
        min(number) as number_min,
        case when count(*) > 1 then max(number) end as number_max,
        case when count(*) > 1 then avg(number order by position) end as number_mean
    from elements
    group by source, Modality, patient_key, study_key, series_key, file_id, path
)

select
    * exclude (file_id),
    count(*)::bigint as images,
    min(file_id) as example_file_id
from said
group by all
