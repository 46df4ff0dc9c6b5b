-- The IODs of a warehouse's images.
select distinct iod
from conformance
where iod is not null
