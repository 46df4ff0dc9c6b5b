-- Findings, the most severe first but for files of another kind, which come last; an empty list of
-- severities, rules or levels means all. A waivers' list that is given stands in for the one that
-- the warehouse was built with.
with

waived as (
    select
        finding_key,
        min(line) as waiver
    from waived_findings(getvariable('waivers'))
    where state = 'active'
    group by finding_key

    union all

    -- Where a line has expired since, another one may cover the same finding.
    select
        findings.finding_key,
        min(waivers.line) as waiver
    from findings
    inner join waivers
        on waives(
            waivers.rule,
            waivers.source,
            waivers.subject,
            findings.rule,
            findings.source,
            findings.subject,
            findings.finding_key
        )
    where
        getvariable('waivers') is null
        and findings.is_waived
        and waivers.state = 'active'
        and coalesce(waivers.expires, current_date) >= current_date
    group by findings.finding_key
),

-- In the first run all are new, and nothing has changed.
news as (
    select distinct finding_key
    from run_changes
    where
        run_id = (select arg_max(runs.run_id, runs.generation) from runs)
        and entity = 'finding'
        and is_news(change, before, after)
)

select
    findings.severity,
    findings.level,
    findings.theme,
    findings.rule,
    findings.source,
    findings.message,
    findings.n_offenders,
    findings.offenders[1] as first_file,
    findings.subject,
    findings.patient_key,
    findings.study_key,
    findings.series_key,
    findings.measured,
    findings.tolerance,
    findings.offenders,
    findings.finding_key,
    findings.state,
    findings.first_run_id,
    waived.finding_key is not null as is_waived,
    waived.waiver,
    findings.state = 'new' or news.finding_key is not null as is_news,
    row_number() over (
        partition by findings.rule, findings.severity, findings.source, is_waived
        order by findings.subject
    ) as place
from findings
left join waived on findings.finding_key = waived.finding_key
left join news on findings.finding_key = news.finding_key
where
    (len(getvariable('severities')) = 0 or list_contains(getvariable('severities'), severity))
    and (len(getvariable('rules')) = 0 or list_contains(getvariable('rules'), rule))
    and (len(getvariable('levels')) = 0 or list_contains(getvariable('levels'), level))
order by rule = 'file_not_dicom', position(severity in 'EWI'), level, rule, source, place
