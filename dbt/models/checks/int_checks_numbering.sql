with

images as (
    select
        *,
        -- Several acquisitions, echoes and times may each count from one.
        hash({{ group_attributes() | reject('equalto', 'StackID') | join(', ') }}) as dimension,
        -- The parts of a concatenation are one object in several files.
        coalesce(ConcatenationUID, file_id::varchar) as object
    from {{ ref('int_series_images') }}
    where not is_set_aside
),

ranges as (
    select
        source,
        series_key,
        min(InstanceNumber) as least,
        max(InstanceNumber) as greatest
    from images
    group by source, series_key
),

-- An image that is set aside has its number all the same.
numbers as (
    select
        series_images.source,
        series_images.series_key,
        series_images.InstanceNumber,
        min(series_images.path) as path,
        -- The two ends of a BIGINT are farther apart than one can say.
        series_images.InstanceNumber::hugeint - lag(series_images.InstanceNumber) over (
            partition by series_images.source, series_images.series_key
            order by series_images.InstanceNumber
        ) - 1 as missing
    from {{ ref('int_series_images') }} as series_images
    inner join ranges using (source, series_key)
    where series_images.InstanceNumber between ranges.least and ranges.greatest
    group by
        series_images.source, series_images.series_key, series_images.InstanceNumber
),

gaps as (
    select
        source,
        series_key,
        count(*) as numbers,
        coalesce(sum(missing), 0)::hugeint as missing,
        count(*) filter (missing > 0) as gaps,
        min(path, 20) filter (missing > 0) as paths
    from numbers
    group by source, series_key
),

counted as (
    select
        *,
        InstanceNumber is not null
        and min(object) over numbered <> max(object) over numbered as is_repeated
    from images
    window numbered as (partition by source, series_key, InstanceNumber, dimension)
),

series as (
    select
        source,
        series_key,
        count(InstanceNumber) as numbered,
        count(*) filter (InstanceNumber is null) as unnumbered,
        min(path, 20) filter (InstanceNumber is null) as unnumbered_paths,
        count(*) filter (is_repeated) as repeated,
        min(path, 20) filter (is_repeated) as repeated_paths
    from counted
    group by source, series_key
)

{% call verdicts() %}
select
    source,
    series_key,
    'instance_number_missing' as rule,
    unnumbered as n_offenders,
    unnumbered_paths as files,
    {{ count_of('unnumbered', 'image') }} || ' without InstanceNumber' as message
from series

union all by name

select
    source,
    series_key,
    'instance_number_duplicate' as rule,
    repeated as n_offenders,
    repeated_paths as files,
    {{ count_of('repeated', 'image') }} || ' with the InstanceNumber of another one' as message
from series
where numbered > 0

union all by name

select
    source,
    series_key,
    'instance_number_gap' as rule,
    missing as measured,
    gaps as n_offenders,
    paths as files,
    {{ count_of('missing', 'number') }}
    || ' missing between the smallest and the largest InstanceNumber' as message
from gaps
where numbers > 1
{% endcall %}
