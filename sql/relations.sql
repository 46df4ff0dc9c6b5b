-- Every table and view of the database.
select
    table_schema,
    table_name
from information_schema.tables
where table_catalog = current_database();
