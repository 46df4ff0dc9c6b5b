with

series_checks as (
    {{ series_verdicts() }}
),

checks as (
    select rule from series_checks
    union
    select rule from {{ ref('int_findings_files') }}
    union
    select rule from {{ ref('int_findings_elements') }}
    union
    select rule from {{ ref('int_findings_dicomdirs') }}
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
