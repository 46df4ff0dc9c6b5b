-- The list of what should be here, as text; `warehouse.database` fills it where a run is given one.
create schema if not exists run;

create or replace table run.expected (
    line bigint,
    PatientID varchar,
    StudyInstanceUID varchar,
    SeriesInstanceUID varchar,
    SOPInstanceUID varchar,
    NumberOfPatientRelatedInstances varchar,
    NumberOfStudyRelatedInstances varchar,
    NumberOfSeriesRelatedInstances varchar,
    instances varchar,
    problem varchar
);
