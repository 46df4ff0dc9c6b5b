with

paths as (
    select
        source,
        path,
        tag
    from {{ ref('int_paths') }}
    union
    select
        source,
        path,
        tag
    from {{ ref('int_imageless_values') }}
    union
    select
        source,
        path,
        tag
    from {{ ref('int_overridden_values') }}
),

profile as not materialized (
    select * from {{ ref('confidentiality_profile') }}
),

-- What an attribute's own row says; what is in a private group has none and is removed.
own as (
    select
        paths.source,
        paths.path,
        0 as distance,
        profile.keyword as profile_attribute,
        profile.action
    from paths
    inner join profile on paths.tag like replace(profile.tag, 'x', '_')

    union all

    select
        source,
        path,
        0 as distance,
        'private' as profile_attribute,
        'X' as action
    from paths
    where {{ is_private('path') }}
),

-- What is done to a sequence is done to all inside it, except where only UIDs are replaced.
inherited as (
    select
        paths.source,
        paths.path,
        1 as distance,
        profile.keyword as profile_attribute,
        profile.action
    from paths
    inner join profile
        on
            starts_with(paths.path, profile.keyword || '.')
            or contains(paths.path, '.' || profile.keyword || '.')
    where profile.keyword <> '' and not contains(profile.action, 'U')
),

applying as (
    select * from own
    union all
    select * from inherited
)

select
    source,
    path,
    profile_attribute,
    action
from applying
qualify
    row_number() over (partition by source, path order by distance, action, profile_attribute) = 1
