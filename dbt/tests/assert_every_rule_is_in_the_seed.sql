with

checks as (
    select rule from {{ ref('int_checks_identity') }}
    union
    select rule from {{ ref('int_checks_homogeneity') }}
    union
    select rule from {{ ref('int_checks_geometry') }}
    union
    select rule from {{ ref('int_checks_numbering') }}
    union
    select rule from {{ ref('int_checks_conformance') }}
)

select rule from checks
where rule not in (select rules.rule from {{ ref('check_rules') }} as rules)
