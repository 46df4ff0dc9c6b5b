-- What someone has accepted: the waivers' list, whose lines are read as JSON texts, and when one of
-- them covers a finding. Commands ask the same of a list that is newer than the warehouse.
create or replace macro main.waivers_in(listed, on_date) as table
    select
        (told ->> 'line')::bigint as line,
        told ->> 'rule' as rule,
        told ->> 'source' as source,
        told ->> 'subject' as subject,
        told ->> 'reason' as reason,
        told ->> 'author' as author,
        try_cast((told ->> 'expires') as date) as expires,
        case
            when rule is null then 'it names no rule'
            when subject is null then 'it names no subject'
            when reason is null then 'it gives no reason'
            when expires is null and (told ->> 'expires') is not null
                then 'expires is no date such as 2026-12-31'
        end as problem,
        case
            when problem is not null then 'invalid'
            when expires < on_date then 'expired'
            else 'active'
        end as state
    from (select unnest(listed::json[]) as told);

create or replace macro main.waives(
    of_rule, of_source, pattern, rule, source, subject, finding_key
) as
    of_rule = rule
    and coalesce(of_source, source) = source
    and (pattern in (subject, finding_key) or subject glob pattern);

create or replace table run.waivers as
select *
from main.waivers_in(
    coalesce(getvariable('record')::json -> 'waiver_list', '[]'::json),
    (getvariable('record')::json ->> 'started_at')::timestamptz::date
);
