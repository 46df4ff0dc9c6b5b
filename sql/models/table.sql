-- A model that dbt materializes as a table.
create table {relation} as (
{sql}
)
