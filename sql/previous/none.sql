-- What a run finds of the one before where there was none: the tables it would read, empty. A
-- database in memory is attached as `previous`.
create table previous.runs (
    run_id varchar,
    generation bigint,
    started_at timestamp,
    finished_at timestamp,
    dicomhouse varchar,
    extractor varchar,
    dictionary varchar,
    models varchar,
    reasons varchar[],
    parameters varchar,
    sources varchar[],
    files_new bigint,
    files_changed bigint,
    files_gone bigint,
    files bigint,
    images bigint,
    elements bigint,
    lake_bytes bigint,
    parts bigint,
    seconds map (varchar, double)
);

create table previous.run_changes (
    run_id varchar,
    entity varchar,
    change varchar,
    source varchar,
    subject varchar,
    before varchar,
    after varchar
);

create table previous.files (
    source varchar,
    path varchar,
    file_id bigint,
    size_bytes bigint,
    modified_at timestamp,
    status varchar,
    reason varchar
);

create table previous.images (file_id bigint, series_key varchar);

create table previous.tag_levels (source varchar, path varchar, level varchar);

create table previous.findings (source varchar, rule varchar, subject varchar, severity varchar);
