-- Whether the published generation, attached as `previous`, has statistics: older ones have none.
select table_name
from duckdb_tables()
where database_name = 'previous' and schema_name = 'run' and table_name = 'pixel_stats';
