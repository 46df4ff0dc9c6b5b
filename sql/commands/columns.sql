-- The columns of a table, in their order.
select
    column_name as name,
    data_type as type,
    comment as description
from duckdb_columns()
where
    schema_name = 'main'
    and table_name = getvariable('table')
    and database_name = current_database()
order by column_index
