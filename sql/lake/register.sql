-- Makes the Parquet lake visible to dbt. Before this runs, the placeholder in each read_parquet
-- is replaced with the lake's absolute path, its glob characters escaped, single quotes doubled.
create schema if not exists lake;

create or replace view lake.files as
select *
from read_parquet(
    '{lake_glob}/files/**/*.parquet',
    hive_partitioning = true,
    union_by_name = true,
    hive_types = { 'source': varchar }
);

create or replace view lake.elements as
select *
from read_parquet(
    '{lake_glob}/elements/**/*.parquet',
    hive_partitioning = true,
    union_by_name = true,
    hive_types = { 'source': varchar, 'Modality': varchar }
);

create or replace view lake.images as
select *
from read_parquet(
    '{lake_glob}/images/**/*.parquet',
    hive_partitioning = true,
    union_by_name = true,
    hive_types = { 'source': varchar, 'Modality': varchar }
);

-- What images say at each path, and how many of a series say it, counted part by part: of models
-- alone, and no table of the lake.
create or replace view lake.value_counts as
select *
from read_parquet(
    '{lake_glob}/_value_counts/**/*.parquet',
    hive_partitioning = true,
    union_by_name = true,
    hive_types = { 'source': varchar, 'Modality': varchar }
);
