-- Where the lake lay when the views were made; readers compare it with where it lies now.
create schema if not exists run;

create or replace table run.place as
select '{lake}' as lake;
