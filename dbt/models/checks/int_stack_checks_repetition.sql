with

slices as not materialized (
    select * from {{ ref('int_crowded_slices') }}
),

overlapping as (
    select distinct
        source,
        series_key,
        stack
    from slices
    where is_overlapping
),

duplicates as (
    select
        source,
        series_key,
        stack,
        list_sort(list(distinct path)) as files,
        bool_and(is_told_apart) as is_told_apart,
        min((is_told_apart, slot, likeness, label, file_id, frame), 2) as first_ones,
        count(*) as images
    from slices
    where is_duplicate
    group by source, series_key, stack
),

-- What tells the first two apart, if anything does.
differences as (
    select
        duplicates.source,
        duplicates.series_key,
        duplicates.stack,
        list_filter(
            [
                {% for attribute in dimension_attributes() %}
                case
                    when one.{{ attribute }} is distinct from other.{{ attribute }}
                        then '{{ attribute.replace("dimension_indices", "DimensionIndexValues") }}'
                end,
                {% endfor %}
                case
                    when one.InstanceNumber is distinct from other.InstanceNumber
                        then 'InstanceNumber'
                end,
                case when one.ImageIndex is distinct from other.ImageIndex then 'ImageIndex' end
            ],
            lambda x: x is not null
        ) as attributes
    from duplicates
    inner join {{ ref('frames') }} as one
        on
            duplicates.first_ones[1][5] = one.file_id
            and duplicates.first_ones[1][6] = one.frame
    inner join {{ ref('frames') }} as other
        on
            duplicates.first_ones[2][5] = other.file_id
            and duplicates.first_ones[2][6] = other.frame
),

incomplete as (
    select
        source,
        series_key,
        stack,
        list_sort(list(distinct path)) as files,
        count(distinct slot) as positions,
        arg_min(struct_pack(label := label, images := images_here), (slot, path, frame))
            as first_one
    from slices
    where is_incomplete
    group by source, series_key, stack
),

stacks as (
    select
        geometry.*,
        duplicates.files as duplicate_files,
        duplicates.first_ones as first_duplicates,
        duplicates.is_told_apart as are_duplicates_told_apart,
        differences.attributes as differing,
        overlapping.stack is not null as is_overlapping,
        coalesce(duplicates.images, 0) as duplicates,
        incomplete.files as incomplete_files,
        coalesce(incomplete.positions, 0) as incomplete_positions,
        incomplete.first_one as first_incomplete,
        -- What a position lacks is there where as many images have no position.
        geometry.repetition = geometry.repetition_max
        and geometry.positions * geometry.repetition - geometry.images
        <= geometry.unplaced_images as is_explained,
        -- A segmentation may leave out the frames in which it has nothing, and segments meet.
        case when geometry.Modality = 'SEG' then 'I' end as severity_of_gaps
    from {{ ref('series_geometry') }} as geometry
    left join duplicates using (source, series_key, stack)
    left join differences using (source, series_key, stack)
    left join incomplete using (source, series_key, stack)
    left join overlapping using (source, series_key, stack)
)

{{ stack_check(
    rule='duplicate_position', relation='stacks', applies='images > 1',
    fails='duplicates > 0',
    measured='case when repetition = 1 or is_overlapping then images - positions else images_not_told_apart end',
    files='duplicate_files',
    severity="case when are_duplicates_told_apart then coalesce(severity_of_gaps, 'W') end",
    message="first_duplicates[1][4] || ' and ' || first_duplicates[2][4]"
        ~ " || ' lie at one position' || case when len(differing) = 0"
        ~ " then ' and nothing tells them apart'"
        ~ " else ', told apart by ' || array_to_string(differing, ', ') end || "
        ~ and_more('duplicates - 1', 'image'),
) }}

union all

{{ stack_check(
    rule='temporal_positions', relation='stacks', applies='positions > 1',
    fails='repetition_min = repetition_max and repetition > 1 and images_not_told_apart = 0',
    measured='repetition',
    message="'Each position holds ' || repetition || ' images that are told apart:'"
        ~ " || ' a series with a fourth dimension'",
) }}

union all

{{ stack_check(
    rule='incomplete_repetition', relation='stacks', applies='positions > 1',
    fails='repetition > 1 and repetition_min < repetition_max and not is_overlapping'
        ~ ' and not is_explained',
    severity='severity_of_gaps',
    measured='repetition',
    files='incomplete_files',
    message="'Most positions hold ' || repetition || ' images, that of ' || first_incomplete.label"
        ~ " || ' holds ' || first_incomplete.images || "
        ~ and_more('incomplete_positions', 'position'),
) }}

union all

{{ stack_check(
    rule='single_position', relation='stacks', applies='images > 1',
    fails='positions = 1',
    severity="case when dimensions > 1 then 'I' end",
    measured='images',
    message="'All ' || images || ' images lie at one position'",
) }}
