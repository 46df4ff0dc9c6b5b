-- Every relation with its columns, as dbt's catalogue has them.
with

relations as (
    select
        schema_name,
        table_name as relation_name,
        'BASE TABLE' as type,
        comment,
        estimated_size as rows
    from duckdb_tables()
    where database_name = current_database()

    union all

    select
        schema_name,
        view_name,
        'VIEW',
        comment,
        null
    from duckdb_views()
    where database_name = current_database() and not internal
),

columns as (
    select
        schema_name,
        table_name as relation_name,
        list(
            {'name': column_name, 'type': data_type, 'index': column_index, 'comment': comment}
            order by column_index
        ) as columns
    from duckdb_columns()
    where database_name = current_database() and not internal
    group by schema_name, table_name
)

select
    relations.schema_name as schema,
    relations.relation_name as name,
    relations.type,
    relations.comment,
    relations.rows,
    columns.columns
from relations
inner join columns
    on
        relations.schema_name = columns.schema_name
        and relations.relation_name = columns.relation_name
order by schema, name
