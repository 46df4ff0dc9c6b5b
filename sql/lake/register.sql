-- Makes the Parquet lake visible, to dbt and to whoever opens the file later, wherever it is then.
create schema if not exists lake;

-- Where the lake lies, as a glob: where the variable says; else beside this file, if a connection
-- was opened on it (DuckDB spills beside it then, and says where); else where it was made.
create or replace macro lake.place() as
regexp_replace(
    coalesce(
        getvariable('lake'),
        case
            when current_setting('temp_directory') like '%warehouse.duckdb.tmp'
                then
                    regexp_replace(
                        current_setting('temp_directory'), 'warehouse\.duckdb\.tmp$', 'lake'
                    )
        end,
        '{lake}'
    ),
    '([*?[])',
    '[\1]',
    'g'
);

create or replace view lake.files as
select *
from read_parquet(
    lake.place() || '/files/**/*.parquet',
    hive_partitioning = true,
    union_by_name = true,
    hive_types = { 'source': varchar }
);

create or replace view lake.elements as
select *
from read_parquet(
    lake.place() || '/elements/**/*.parquet',
    hive_partitioning = true,
    union_by_name = true,
    hive_types = { 'source': varchar, 'Modality': varchar }
);

create or replace view lake.images as
select *
from read_parquet(
    lake.place() || '/images/**/*.parquet',
    hive_partitioning = true,
    union_by_name = true,
    hive_types = { 'source': varchar, 'Modality': varchar }
);

-- What images say at each path, and how many of a series say it, counted part by part: of models
-- alone, and no table of the lake.
create or replace view lake.value_counts as
select *
from read_parquet(
    lake.place() || '/_value_counts/**/*.parquet',
    hive_partitioning = true,
    union_by_name = true,
    hive_types = { 'source': varchar, 'Modality': varchar }
);
