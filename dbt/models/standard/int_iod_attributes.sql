with

attributes as (
    select * from {{ source('standard', 'module_attributes') }}
    where iod in (select series_iods.iod from {{ ref('int_series_iods') }} as series_iods)
),

module_order as (
    select * from {{ ref('module_order') }}
),

rated as (
    select
        *,
        case
            when not is_judged then 'not_judged'
            when usage = 'M' and attribute_type = '1' then 'type1'
            when usage = 'M' and attribute_type = '2' then 'type2'
            when attribute_type <> '3' then 'conditional'
            else 'optional'
        end as requirement
    from attributes
),

binding as (
    select
        *,
        row_number() over (
            partition by iod, path
            order by
                list_position(
                    ['type1', 'type2', 'conditional', 'optional', 'not_judged'], requirement
                ),
                list_position(['M', 'C', 'U'], usage),
                attribute_type,
                module
        ) as strictness
    from rated
),

shown as (
    select
        binding.iod,
        binding.path,
        binding.module,
        binding.information_entity,
        module_order.place as module_place,
        coalesce(module_order.is_general, false) as is_general
    from binding
    left join module_order on binding.module like module_order.module
    qualify row_number() over (
        partition by binding.iod, binding.path
        order by
            module_order.is_general desc nulls last,
            module_order.place nulls last,
            binding.strictness
    ) = 1
)

select
    binding.iod,
    binding.path,
    {{ parent_path('binding.path') }} as parent_path,
    binding.tag,
    shown.module,
    shown.module_place,
    shown.is_general,
    shown.information_entity,
    binding.attribute_type,
    binding.module as required_by,
    binding.usage,
    binding.requirement
from binding
inner join shown using (iod, path)
where binding.strictness = 1
