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

-- What the values of each frame are, where a run was asked to look; `warehouse.pixel_statistics`
-- fills it.
create or replace table run.pixel_stats (
    file_id bigint not null,
    size_bytes bigint not null,
    modified_at timestamp,
    version integer not null,
    frame integer not null,
    problem varchar,
    reason varchar,
    decoder varchar,
    digest varchar,
    n_values bigint,
    n_distinct bigint,
    n_saturated bigint,
    n_beyond bigint,
    stored_minimum double,
    stored_maximum double,
    unpadded_minimum double,
    unpadded_maximum double,
    padding_share double,
    minimum double,
    maximum double,
    mean double,
    standard_deviation double,
    p01 double,
    p05 double,
    p25 double,
    p50 double,
    p75 double,
    p95 double,
    p99 double,
    brain_share double,
    lung_share double,
    primary key (file_id, frame)
);
