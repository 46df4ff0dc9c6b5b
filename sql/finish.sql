-- The last of a run: what was not known while the models were built, and what was theirs alone.
update runs
set
    finished_at = (getvariable('record')::json ->> 'finished_at')::timestamptz::timestamp,
    seconds = (getvariable('record')::json -> 'seconds')::map (varchar, double)
where run_id = getvariable('record')::json ->> 'run_id';

drop schema history cascade;

drop table run.expected;

-- Where a file of `files` lies, by its source and path; what is not valid UTF-8 stands there as \xNN.
create or replace macro main.absolute_path(source_name, path_below) as (
    select address || '/' || path_below
    from main.sources
    where source = source_name
);

-- The lines of a waivers' list that hold today or did, each with the findings that it covers.
create or replace macro main.waived_findings(listed) as table
    select
        waivers.line,
        waivers.state,
        findings.finding_key
    from main.waivers_in(listed, current_date) as waivers
    inner join main.findings
        on main.waives(
            waivers.rule,
            waivers.source,
            waivers.subject,
            findings.rule,
            findings.source,
            findings.subject,
            findings.finding_key
        )
    where waivers.state <> 'invalid';
