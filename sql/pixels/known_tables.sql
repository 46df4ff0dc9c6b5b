-- The tables of pixels that the published generation, attached as `previous`, has: older ones lack
-- them.
select table_name
from duckdb_tables()
where
    database_name = 'previous'
    and schema_name = 'run'
    and table_name in ('pixel_digests', 'pixel_stats');
