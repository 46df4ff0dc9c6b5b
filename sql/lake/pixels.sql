-- Digests of pixel data, of the files whose instance stands more than once and whose headers do
-- not tell their copies apart, or the reason why there is none; `warehouse.pixels` fills it.
create schema if not exists run;

create or replace table run.pixel_digests (
    file_id bigint primary key,
    size_bytes bigint not null,
    modified_at timestamp,
    digest varchar,
    reason varchar
);
