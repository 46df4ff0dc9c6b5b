-- A model that dbt materializes as a view.
create view {relation} as (
{sql}
)
