-- Where vendors keep the b-value of MR diffusion images that lack the public attribute. GE adds a
-- billion to some, and further numbers behind it.
with

elements as (
    select
        file_id,
        number
    from {{ ref('stg_elements') }}
    where
        Modality = 'MR'
        and path in (
            '(0019,"SIEMENS MR HEADER",0C)',
            '(0043,"GEMS_PARM_01",39)',
            '(2001,"Philips Imaging DD 001",03)',
            '(0065,"Image Private Header",09)'
        )
        and number >= 0
)

select
    file_id,
    min(number % 100000) as DiffusionBValue
from elements
group by file_id
