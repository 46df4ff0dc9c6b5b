with

geometry as (
    select
        *,
        repetition_min = repetition_max
        and repetition_max > 1
        and positions > 1
        and images_not_told_apart = 0 as is_temporal
    from {{ ref('series_geometry') }}
),

positions as (
    select * from {{ ref('int_stack_positions') }}
),

slices as (
    select
        *,
        count(*) over (
            partition by source, series_key, stack, slot, InstanceNumber, dimension
        ) as alike
    from {{ ref('int_slices') }}
),

-- Every rule of every stack it applies to; a series fails where one of its stacks does.
stack_checks as (
    select
        source,
        series_key,
        stack,
        'duplicate_position' as rule,
        images_not_told_apart > 0 or (repetition = 1 and repetition_max > 1) as is_failed,
        null as severity,
        case
            when repetition = 1 then images - positions
            else images_not_told_apart
        end as measured
    from geometry
    where images > 1

    union all

    select
        source,
        series_key,
        stack,
        'temporal_positions' as rule,
        is_temporal as is_failed,
        null as severity,
        repetition as measured
    from geometry
    where positions > 1

    union all

    select
        source,
        series_key,
        stack,
        'incomplete_repetition' as rule,
        repetition > 1 and repetition_min < repetition_max as is_failed,
        null as severity,
        repetition as measured
    from geometry
    where positions > 1

    union all

    select
        source,
        series_key,
        stack,
        'single_position' as rule,
        positions = 1 as is_failed,
        case when dimensions > 1 then 'I' end as severity,
        images as measured
    from geometry
    where images > 1

    union all

    select
        source,
        series_key,
        stack,
        'missing_slices' as rule,
        missing_slices > 0 as is_failed,
        null as severity,
        missing_slices as measured
    from geometry
    where positions > 2

    union all

    select
        source,
        series_key,
        stack,
        'mixed_spacing' as rule,
        run_spacing_max - run_spacing_min
        > greatest({{ tolerance('mixed_spacing') }} * run_spacing_min, 0.1) as is_failed,
        null as severity,
        run_spacing_max / run_spacing_min - 1 as measured
    from geometry
    where spacing_runs > 0

    union all

    select
        source,
        series_key,
        stack,
        'irregular_spacing' as rule,
        irregular_steps > 0 as is_failed,
        null as severity,
        irregular_steps as measured
    from geometry
    where positions > 2
),

-- The images that a failed rule is about. Of a gap: the one behind it.
offending as (
    select
        slices.source,
        slices.series_key,
        slices.stack,
        'duplicate_position' as rule,
        slices.path
    from slices
    inner join geometry
        on
            slices.source = geometry.source
            and slices.series_key = geometry.series_key
            and slices.stack = geometry.stack
    inner join positions
        on
            slices.source = positions.source
            and slices.series_key = positions.series_key
            and slices.stack = positions.stack
            and slices.slot = positions.slot
    where slices.alike > 1 or (geometry.repetition = 1 and positions.images > 1)

    union all

    select
        positions.source,
        positions.series_key,
        positions.stack,
        'incomplete_repetition' as rule,
        positions.path
    from positions
    inner join geometry
        on
            positions.source = geometry.source
            and positions.series_key = geometry.series_key
            and positions.stack = geometry.stack
    where geometry.repetition > 1 and positions.images <> geometry.repetition

    union all

    select
        source,
        series_key,
        stack,
        'single_position' as rule,
        path
    from slices

    union all

    select
        source,
        series_key,
        stack,
        'missing_slices' as rule,
        path
    from positions
    where is_gap

    union all

    select
        source,
        series_key,
        stack,
        'irregular_spacing' as rule,
        path
    from positions
    where is_irregular
),

offenders as (
    select
        offending.source,
        offending.series_key,
        offending.rule,
        count(*) as n_offenders,
        min(offending.path, 20) as paths
    from offending
    inner join stack_checks
        on
            offending.source = stack_checks.source
            and offending.series_key = stack_checks.series_key
            and offending.stack = stack_checks.stack
            and offending.rule = stack_checks.rule
    where stack_checks.is_failed
    group by offending.source, offending.series_key, offending.rule
),

checks as (
    select
        source,
        series_key,
        rule,
        bool_or(is_failed) as is_failed,
        -- A stack at the rule's own severity outweighs one at a lower.
        case
            when bool_and(severity is not null) filter (is_failed)
                then max(severity) filter (is_failed)
        end as severity,
        coalesce(max(measured) filter (is_failed), max(measured))::double as measured,
        sum(measured) filter (is_failed)::bigint as amount
    from stack_checks
    group by source, series_key, rule
)

select
    checks.source,
    checks.series_key,
    checks.rule,
    checks.is_failed,
    checks.severity,
    case
        when checks.rule = 'missing_slices' then coalesce(checks.amount, 0)
        else checks.measured
    end as measured,
    coalesce(offenders.n_offenders, 0) as n_offenders,
    offenders.paths as offenders,
    case checks.rule
        when 'duplicate_position'
            then
                {{ count_of('offenders.n_offenders', 'image') }}
                || ' at a position with another one'
                || ' that nothing tells apart'
        when 'temporal_positions'
            then
                'Each position holds ' || checks.measured::bigint || ' images that are told apart:'
                || ' a series with a fourth dimension'
        when 'incomplete_repetition'
            then
                'Most positions hold ' || checks.measured::bigint || ' images, '
                || {{ count_of('offenders.n_offenders', 'position') }} || ' another number'
        when 'single_position'
            then 'All ' || checks.measured::bigint || ' images lie at one position'
        when 'missing_slices'
            then
                {{ count_of('checks.amount', 'slice') }} || ' missing in '
                || {{ count_of('offenders.n_offenders', 'gap') }}
        when 'mixed_spacing'
            then
                'Parts of the series differ in slice spacing by '
                || round(100 * checks.measured, 1) || ' %'
        when 'irregular_spacing'
            then {{ count_of('checks.amount', 'step') }} || ' between slices off the spacing'
    end as message
from checks
left join offenders
    on
        checks.source = offenders.source
        and checks.series_key = offenders.series_key
        and checks.rule = offenders.rule
