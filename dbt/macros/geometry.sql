{# Row direction x column direction, of the orientation's six cosines: one component of three. #}
{% macro crossed(orientation, first, second) -%}
({{ orientation }}[{{ first }}] * {{ orientation }}[{{ second + 3 }}]
- {{ orientation }}[{{ second }}] * {{ orientation }}[{{ first + 3 }}])
{%- endmacro %}

{# The unit normal of a plane; nulls where its directions span none. #}
{% macro unit_normal(orientation) -%}
[
    x / nullif(
        sqrt(
            {{ crossed(orientation, 2, 3) }} ** 2
            + {{ crossed(orientation, 3, 1) }} ** 2
            + {{ crossed(orientation, 1, 2) }} ** 2
        ),
        0
    ) for x in [
        {{ crossed(orientation, 2, 3) }},
        {{ crossed(orientation, 3, 1) }},
        {{ crossed(orientation, 1, 2) }}
    ]
]
{%- endmacro %}

{# Whether a list holds this many numbers, all of them present. #}
{% macro is_complete(numbers, length) -%}
coalesce(len({{ numbers }}) = {{ length }} and list_count({{ numbers }}) = {{ length }}, false)
{%- endmacro %}

{# The place of a point along a direction; null where either lacks a number. #}
{% macro along(direction, point) -%}
{{ point }}[1] * {{ direction }}[1] + {{ point }}[2] * {{ direction }}[2]
+ {{ point }}[3] * {{ direction }}[3]
{%- endmacro %}

{# How far an orientation is off two directions of length 1 at right angles. #}
{% macro off_orthonormal(orientation) -%}
{% set row, column = orientation ~ '[1:3]', orientation ~ '[4:6]' -%}
greatest(
    abs(sqrt(list_dot_product({{ row }}, {{ row }})) - 1),
    abs(sqrt(list_dot_product({{ column }}, {{ column }})) - 1),
    abs(list_dot_product({{ row }}, {{ column }}))
)
{%- endmacro %}

{# Rounding far below the tolerance leaves few distinct orientations to compare. #}
{% macro rounded(orientation) -%}
[round(x, 5) + 0.0 for x in {{ orientation }}]
{%- endmacro %}

{# Whether two orientations are those of one stack: each direction agrees with the other's. #}
{% macro same_orientation(one, other) -%}
(
    list_cosine_similarity({{ one }}[1:3], {{ other }}[1:3])
    >= 1 - {{ tolerance('mixed_orientation') }}
    and list_cosine_similarity({{ one }}[4:6], {{ other }}[4:6])
    >= 1 - {{ tolerance('mixed_orientation') }}
)
{%- endmacro %}

{# How far a frame lies from its stack's line: int_stack_frames and int_stack_lines. #}
{% macro off_line_mm(frames, lines) -%}
sqrt(
    (
        {{ frames }}.along_row
        - {{ lines }}.row_start
        - {{ lines }}.row_slope * {{ frames }}.position
    ) ** 2
    + (
        {{ frames }}.along_column
        - {{ lines }}.column_start
        - {{ lines }}.column_slope * {{ frames }}.position
    ) ** 2
)
{%- endmacro %}

{# How far a step may be off a spacing: a share of it, and never less than a length in mm. #}
{% macro spacing_tolerance(rule, spacing) -%}
greatest({{ tolerance(rule) }} * {{ spacing }}, {{ tolerance(rule ~ '.mm') }})
{%- endmacro %}

{# Whether the steps of a group of rows are one, as far as spacing goes. #}
{% macro is_even(step) -%}
(
    greatest(
        max({{ step }}) - quantile_disc({{ step }}, 0.5),
        quantile_disc({{ step }}, 0.5) - min({{ step }})
    ) <= {{ spacing_tolerance('irregular_spacing', 'quantile_disc(' ~ step ~ ', 0.5)') }}
)
{%- endmacro %}
