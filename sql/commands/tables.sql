-- The tables that people query, in the order of their names.
select
    names.table_name as name,
    tables.estimated_size as rows,
    names.n_columns as columns,
    coalesce(tables.comment, views.comment) as description
from (
    select
        table_name,
        count(*) as n_columns
    from duckdb_columns()
    where schema_name = 'main' and database_name = current_database() and not internal
    group by table_name
) as names
left join duckdb_tables() as tables
    on
        names.table_name = tables.table_name
        and tables.schema_name = 'main'
        and tables.database_name = current_database()
left join duckdb_views() as views
    on
        names.table_name = views.view_name
        and views.schema_name = 'main'
        and views.database_name = current_database()
order by names.table_name
