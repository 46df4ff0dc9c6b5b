-- All IODs that the standard's tables have.
select distinct iod
from standard.iod_modules
