-- Put the present path in the place of the views' own, in a warehouse whose folder has moved.
create temporary view elements as
select *
from read_parquet(
    '{lake_glob}/elements/**/*.parquet',
    hive_partitioning = true,
    union_by_name = true,
    hive_types = { 'source': varchar, 'Modality': varchar }
);
