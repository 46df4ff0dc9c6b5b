-- Modules of the standard that attributes of the catalogue belong to, and their pages.
select
    module,
    min(link_standard) as link_standard
from module_attributes
where module in (select distinct module from tag_profile)
group by module
order by module
