-- What a run sets: a row for each rule whose default tolerance it replaces.
create schema if not exists run;

create or replace table run.tolerances (rule varchar primary key, tolerance double not null);
