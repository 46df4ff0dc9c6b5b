with

profiles as not materialized (
    select * from {{ ref('int_tag_profile') }}
),

scopes as not materialized (
    select * from {{ ref('int_scopes') }}
    where is_modality
)

select
    profiles.source,
    scopes.Modality,
    profiles.path,
    profiles.tag,
    profiles.keyword,
    profiles.vr,
    profiles.images,
    profiles.present,
    profiles.empty,
    profiles.absent,
    profiles.invalid,
    profiles.percent_missing,
    profiles.distinct_values,
    profiles.examples,
    profiles.commonest_value,
    profiles.commonest_share,
    profiles.number_min,
    profiles.number_max,
    profiles.number_mean,
    profiles.state = 'constant' as is_constant,
    profiles.state,
    profiles.verdict,
    profiles.information_entity,
    profiles.module,
    profiles.attribute_type
from profiles
inner join scopes using (source, scope)
