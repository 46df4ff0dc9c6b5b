with

images as (
    select * from {{ ref('int_series_images') }}
    where not is_set_aside
),

-- Errors only where a series ought to be a volume.
volumes as (
    select
        source,
        series_key,
        bool_or(is_slice and not is_non_volume and Modality in ('CT', 'MR', 'PT')) as is_volume
    from images
    group by source, series_key
),

attribute_values as (
    select
        source,
        series_key,
        path,
        'mixed_matrix' as rule,
        Rows || ' x ' || Columns as value
    from images
    union all
    select
        source,
        series_key,
        path,
        'mixed_sop_class' as rule,
        SOPClassUID as value
    from images
    union all
    select
        source,
        series_key,
        path,
        'mixed_modality' as rule,
        Modality as value
    from images
),

counted as (
    select
        source,
        series_key,
        rule,
        value,
        count(*) as images,
        min(path, 20) as paths,
        row_number() over (
            partition by source, series_key, rule order by count(*) desc, value
        ) as rank,
        count(*) over (partition by source, series_key, rule) as distinct_values
    from attribute_values
    where value is not null
    group by source, series_key, rule, value
),

-- Offenders are the images that have not the commonest value.
attributes as (
    select
        source,
        series_key,
        rule,
        any_value(distinct_values) as distinct_values,
        coalesce(sum(images) filter (rank > 1), 0)::bigint as n_offenders,
        list_sort(flatten(list(paths) filter (rank > 1)))[1:20] as offenders,
        string_agg(value || ' (' || images || ')', ', ' order by rank) filter (rank <= 5)
            as found
    from counted
    group by source, series_key, rule
),

spaced as (
    select
        source,
        series_key,
        path,
        PixelSpacing[1] as row_spacing,
        PixelSpacing[2] as column_spacing
    from images
    where PixelSpacing[1] > 0 and PixelSpacing[2] > 0
),

commonest_spacings as (
    select
        source,
        series_key,
        row_spacing,
        column_spacing
    from spaced
    group by source, series_key, row_spacing, column_spacing
    qualify row_number() over (
        partition by source, series_key
        order by count(*) desc, row_spacing, column_spacing
    ) = 1
),

deviations as (
    select
        spaced.source,
        spaced.series_key,
        spaced.path,
        greatest(
            abs(spaced.row_spacing / commonest_spacings.row_spacing - 1),
            abs(spaced.column_spacing / commonest_spacings.column_spacing - 1)
        ) as deviation
    from spaced
    inner join commonest_spacings
        on
            spaced.source = commonest_spacings.source
            and spaced.series_key = commonest_spacings.series_key
),

spacings as (
    select
        source,
        series_key,
        max(deviation) as deviation,
        count(*) filter (deviation > {{ tolerance('mixed_pixel_spacing') }}) as n_offenders,
        min(path, 20) filter (deviation > {{ tolerance('mixed_pixel_spacing') }}) as offenders
    from deviations
    group by source, series_key
),

checks as (
    select
        source,
        series_key,
        rule,
        distinct_values > 1 as is_failed,
        distinct_values::double as measured,
        n_offenders,
        offenders,
        distinct_values || ' values in one series: ' || found as message
    from attributes

    union all

    select
        source,
        series_key,
        'mixed_pixel_spacing' as rule,
        n_offenders > 0 as is_failed,
        deviation as measured,
        n_offenders,
        offenders,
        {{ count_of('n_offenders', 'image') }} || ' off the commonest pixel spacing, by up to '
        || round(100 * deviation, 3) || ' %' as message
    from spacings
)

select
    checks.source,
    checks.series_key,
    checks.rule,
    checks.is_failed,
    case when not volumes.is_volume then 'I' end as severity,
    checks.measured,
    checks.n_offenders,
    checks.offenders,
    checks.message
from checks
inner join volumes
    on checks.source = volumes.source and checks.series_key = volumes.series_key
