-- How many rows the tables have that the lake's parts were counted for.
select
    (select count(*) from files) as files,
    (select count(*) from images) as images,
    (select count(*) from elements) as elements;
