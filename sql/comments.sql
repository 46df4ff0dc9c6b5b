-- The statements that make the descriptions in the variable comments of what is there, relation by
-- relation; first the widest, whose comments take longest.
with

parsed as (
    select unnest(
        from_json(
            getvariable('descriptions'),
            '[{"schema": "varchar", "name": "varchar", "kind": "varchar", "text": "varchar",
               "columns": [{"name": "varchar", "text": "varchar"}]}]'
        ),
        recursive := true
    )
),

described as (
    select
        schema as schema_name,
        name as table_name,
        kind,
        text,
        columns
    from parsed
),

nested as (
    select
        schema_name,
        table_name,
        unnest(columns, recursive := true)
    from described
),

columns_described as (
    select
        schema_name,
        table_name,
        name as column_name,
        text
    from nested
),

-- DuckDB ignores case in names, as the project may.
found as (
    select
        there.schema_name,
        there.table_name,
        there.column_name,
        there.column_index,
        coalesce(
            told.text,
            attributes.name || ' (' || attributes.tag || ', ' || attributes.vr || ')'
        ) as text
    from duckdb_columns() as there
    inner join described
        on
            there.schema_name = described.schema_name
            and there.table_name = described.table_name
    left join columns_described as told
        on
            there.schema_name = told.schema_name
            and there.table_name = told.table_name
            and lower(there.column_name) = lower(told.column_name)
    -- Not in views, whose tables have it: a comment takes the longer, the more columns there are.
    left join standard.attributes as attributes
        on there.column_name = attributes.keyword and described.kind = 'table'
    where there.database_name = current_database()
),

statements as (
    select
        0 as place,
        schema_name,
        table_name,
        format(
            'comment on {} "{}"."{}" is ''{}''',
            kind,
            replace(schema_name, '"', '""'),
            replace(table_name, '"', '""'),
            replace(text, '''', '''''')
        ) as statement
    from described

    union all

    select
        column_index as place,
        schema_name,
        table_name,
        format(
            'comment on column "{}"."{}"."{}" is ''{}''',
            replace(schema_name, '"', '""'),
            replace(table_name, '"', '""'),
            replace(column_name, '"', '""'),
            replace(text, '''', '''''')
        ) as statement
    from found
    where text is not null
)

select list(statement order by place) as statements_of_relation
from statements
group by schema_name, table_name
order by count(*) desc, schema_name, table_name
