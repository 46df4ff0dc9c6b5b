-- How many findings a waivers' list covers.
select count(*) as findings
from waived_findings(getvariable('waivers'))
