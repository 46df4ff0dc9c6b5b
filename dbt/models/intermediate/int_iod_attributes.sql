with

attributes as (
    select * from {{ source('standard', 'module_attributes') }}
    where iod in (select series_iods.iod from {{ ref('int_series_iods') }} as series_iods)
),

not_judged as (
    select * from {{ ref('conformance_not_judged') }}
),

statements as (
    select
        *,
        not exists (
            select 1 from not_judged
            where
                regexp_full_match(attributes.module, not_judged.module)
                and regexp_full_match(attributes.path, not_judged.path)
        ) as is_known
    from attributes
),

ranked as (
    select
        *,
        case
            when not is_known then 'not_judged'
            when usage = 'M' and attribute_type = '1' then 'type1'
            when usage = 'M' and attribute_type = '2' then 'type2'
            when attribute_type <> '3' then 'conditional'
            else 'optional'
        end as requirement
    from statements
)

select
    iod,
    path,
    case when contains(path, '.') then regexp_replace(path, '\.[^.]+$', '') end as parent_path,
    tag,
    module,
    usage,
    information_entity,
    attribute_type,
    requirement
from ranked
qualify row_number() over (
    partition by iod, path
    order by
        list_position(['type1', 'type2', 'conditional', 'optional', 'not_judged'], requirement),
        list_position(['M', 'C', 'U'], usage),
        attribute_type,
        module
) = 1
