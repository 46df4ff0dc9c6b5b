with

checks as (
    select rule from {{ ref('int_checks_identity') }}
    union
    select rule from {{ ref('int_checks_duplicates') }}
    union
    select rule from {{ ref('int_checks_references') }}
    union
    select rule from {{ ref('int_checks_entities') }}
    union
    select rule from {{ ref('int_checks_homogeneity') }}
    union
    select rule from {{ ref('int_checks_values') }}
    union
    select rule from {{ ref('int_checks_frames') }}
    union
    select rule from {{ ref('int_checks_geometry') }}
    union
    select rule from {{ ref('int_checks_planes') }}
    union
    select rule from {{ ref('int_checks_stacks') }}
    union
    select rule from {{ ref('int_checks_numbering') }}
    union
    select rule from {{ ref('int_checks_conformance') }}
    union
    select rule from {{ ref('int_findings_files') }}
    union
    select rule from {{ ref('int_findings_elements') }}
    union
    select rule from {{ ref('int_findings_folders') }}
    union
    select rule from {{ ref('int_findings_images') }}
    union
    select rule from {{ ref('int_findings_studies') }}
    union
    select rule from {{ ref('int_findings_patients') }}
    union
    select rule from {{ ref('int_findings_uids') }}
)

select rule from checks
where rule not in (select rules.rule from {{ ref('check_rules') }} as rules)
