{#- Long because each rule about steps says where, by how much, and from which to which file. -#}
with

-- A slice between two irregular steps is the one that lies wrong.
positions as (
    select
        *,
        case
            when lead(is_irregular) over in_stack then [path]
            when lag(is_irregular) over in_stack then [path_before]
            else [path_before, path]
        end as irregular_paths
    from {{ ref('int_stack_positions') }}
    window in_stack as (partition by source, series_key, stack order by slot)
),

steps as (
    select
        source,
        series_key,
        stack,
        list_sort(list_distinct(flatten(list([path_before, path]) filter (is_gap)))) as gap_files,
        arg_min(
            struct_pack(
                before := label_before, after := label, step := step, missing := missing_slices
            ),
            slot
        ) filter (is_gap) as first_gap,
        list_sort(
            list_distinct(flatten(list([path_before, path]) filter (is_coverage_gap)))
        ) as coverage_files,
        count(*) filter (is_coverage_gap) as coverage_gaps,
        arg_min(
            struct_pack(before := label_before, after := label, step := step), slot
        ) filter (is_coverage_gap) as first_coverage_gap,
        list_sort(list_distinct(flatten(list(irregular_paths) filter (is_irregular))))
            as irregular_files,
        arg_min(
            struct_pack(before := label_before, after := label, step := step), slot
        ) filter (is_irregular) as first_irregular
    from positions
    group by source, series_key, stack
),

runs as (
    select
        source,
        series_key,
        stack,
        run,
        arg_min(path_before, slot) as path,
        {{ count_of('count(*)', 'step') }} || ' of '
        || {{ plain_number('any_value(run_spacing)') }} || ' mm from '
        || arg_min(label_before, slot) || ' to ' || arg_max(label, slot) as words
    from positions
    where is_in_group
    group by source, series_key, stack, run
),

groups as (
    select
        source,
        series_key,
        stack,
        list_sort(list(path order by run)[2:]) as run_files,
        array_to_string(list(words order by run)[1:5], ', ')
        || case when count(*) > 5 then ', ...' else '' end as runs
    from runs
    group by source, series_key, stack
),

stacks as (
    select
        geometry.*,
        geometry.spacing_runs = 0
        and geometry.positions - 1 > {{ tolerance('mixed_spacing.steps') }} as is_unsearched,
        steps.gap_files,
        steps.first_gap,
        steps.coverage_files,
        steps.coverage_gaps,
        steps.first_coverage_gap,
        steps.irregular_files,
        steps.first_irregular,
        groups.run_files,
        groups.runs,
        -- A segmentation may leave out the frames in which it has nothing.
        case when geometry.Modality = 'SEG' then 'I' end as severity_of_gaps,
        {{ plain_number('geometry.spacing_median') }} || ' mm' as spacing,
        geometry.slice_thickness_mm / geometry.spacing_median - 1 as thickness_deviation,
        greatest(
            abs(geometry.spacing_between_slices_mm - geometry.spacing_median),
            abs(geometry.slice_location_spacing - geometry.spacing_median)
        ) as tag_deviation_mm
    from {{ ref('series_geometry') }} as geometry
    inner join steps using (source, series_key, stack)
    left join groups using (source, series_key, stack)
)

{{ stack_check(
    rule='missing_slices', relation='stacks', applies='positions > 2',
    fails='missing_slices > 0',
    measured='missing_slices',
    files='gap_files',
    severity='severity_of_gaps',
    message=count_of('first_gap.missing', 'slice')
        ~ " || ' missing between ' || first_gap.before || ' and ' || first_gap.after || ': step '"
        ~ " || " ~ plain_number('first_gap.step') ~ " || ' mm where the spacing is ' || spacing || "
        ~ and_more('gaps', 'gap'),
) }}

union all

{{ stack_check(
    rule='coverage_gap', relation='stacks', applies='positions > 2',
    fails='coverage_gaps > 0',
    measured='coverage_gap_mm',
    files='coverage_files',
    severity='severity_of_gaps',
    message=plain_number('round(first_coverage_gap.step, 2)')
        ~ " || ' mm without a slice between ' || first_coverage_gap.before || ' and '"
        ~ " || first_coverage_gap.after || ', where the spacing is ' || spacing || "
        ~ and_more('coverage_gaps', 'gap'),
) }}

union all

{{ stack_check(
    rule='mixed_spacing', relation='stacks', applies='spacing_runs > 0 or is_unsearched',
    fails='is_unsearched or run_spacing_max - run_spacing_min > '
        ~ spacing_tolerance('mixed_spacing', 'run_spacing_min'),
    measured='case when is_unsearched then positions else run_spacing_max / run_spacing_min - 1 end',
    files='run_files',
    severity="case when is_unsearched then 'I' else severity_of_gaps end",
    message="case when is_unsearched then 'Whether the slice spacing changes was not looked for: '"
        ~ " || positions || ' positions are too many'"
        ~ " else 'The slice spacing changes: ' || runs end",
) }}

union all

{{ stack_check(
    rule='irregular_spacing', relation='stacks', applies='positions > 2',
    fails='irregular_steps > 0',
    measured='irregular_steps',
    files='irregular_files',
    message="'Step ' || " ~ plain_number('first_irregular.step')
        ~ " || ' mm between ' || first_irregular.before || ' and ' || first_irregular.after"
        ~ " || ' where the spacing is ' || spacing || " ~ and_more('irregular_steps', 'step'),
) }}

union all

{% for rule, is_beyond, words in [
    ('slice_overlap', '> ', 'overlap'), ('slice_gap', '< -', 'leave gaps'),
] %}
{{ stack_check(
    rule=rule, relation='stacks', applies='slice_thickness_mm > 0 and positions > 1',
    fails='thickness_deviation ' ~ is_beyond ~ tolerance(rule),
    measured='thickness_deviation',
    message="'Slices of ' || " ~ plain_number('slice_thickness_mm')
        ~ " || ' mm lie ' || spacing || ' apart and " ~ words ~ "'",
) }}

union all
{% endfor %}

{{ stack_check(
    rule='spacing_tag_mismatch', relation='stacks',
    applies='positions > 1 and tag_deviation_mm is not null',
    fails='tag_deviation_mm > ' ~ spacing_tolerance('spacing_tag_mismatch', 'spacing_median'),
    measured='tag_deviation_mm / spacing_median',
    message="concat('The slices lie ', spacing, ' apart'"
        ~ ", ', SpacingBetweenSlices says ' || " ~ plain_number('spacing_between_slices_mm') ~ " || ' mm'"
        ~ ", ', SliceLocation goes by ' || " ~ plain_number('slice_location_spacing') ~ " || ' mm')",
) }}
