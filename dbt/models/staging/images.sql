-- The columns beyond the core depend on what the files hold.
with

aged as (
    select
        *,
        {{ years_of_age('PatientAge') }} as stated_age,
        {{ years_between('PatientBirthDate', 'StudyDate') }} as computed_age
    from {{ source('lake', 'images') }}
)

select
    * exclude (stated_age, computed_age),
    coalesce(stated_age, computed_age) as age_years,
    case
        when stated_age is not null then 'PatientAge'
        when computed_age is not null then 'PatientBirthDate'
    end as age_from
from aged
