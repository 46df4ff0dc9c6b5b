{#
What a list names, against what images hold: both are names of relations. A row of the list stands
for the lowest entity that it names. What is not named is told of the lowest level that the list has,
and only where the list does not name what it belongs to.
#}
{% macro expected_and_found(listed, images) -%}
{%- set uids = {
    'patient': 'PatientID',
    'study': 'StudyInstanceUID',
    'series': 'SeriesInstanceUID',
    'instance': 'SOPInstanceUID',
} -%}
with

-- Ten million rows are computed anew where they are needed, rather than kept.
told as not materialized (
    select
        line,
        PatientID,
        StudyInstanceUID,
        SeriesInstanceUID,
        SOPInstanceUID,
        case
            when SOPInstanceUID is not null then 'instance'
            when SeriesInstanceUID is not null then 'series'
            when StudyInstanceUID is not null then 'study'
            when PatientID is not null then 'patient'
        end as level,
        coalesce(SOPInstanceUID, SeriesInstanceUID, StudyInstanceUID, PatientID) as uid,
        case level
            when 'instance' then '1'
            when 'series' then coalesce(NumberOfSeriesRelatedInstances, instances)
            when 'study' then coalesce(NumberOfStudyRelatedInstances, instances)
            when 'patient' then coalesce(NumberOfPatientRelatedInstances, instances)
        end as number,
        try_cast(number as bigint) as expected_instances,
        case
            when problem is not null then problem
            when level is null then 'it names no patient, study, series or instance'
            when level <> 'patient' and not regexp_full_match(uid, '[0-9.]{1,64}')
                then 'its UID is not valid'
            when number is not null and coalesce(expected_instances, -1) < 0
                then 'its number of instances is no whole number'
        end as problem
    from {{ listed }}
),

-- Digests first, since hardly a row stands twice and UIDs are long.
repeated_digests as (
    select hash(level, uid) as digest
    from told
    where level is not null
    group by digest
    having count(*) > 1
),

repeated as (
    select
        level,
        uid,
        min(line) as first_line
    from told
    where hash(level, uid) in (select repeated_digests.digest from repeated_digests)
    group by level, uid
),

wanted as not materialized (
    select
        told.* replace (
            case
                when told.line > repeated.first_line
                    then 'line ' || repeated.first_line || ' names the same'
                else told.problem
            end as problem
        )
    from told
    left join repeated using (level, uid)
),

levels as (
    select distinct level
    from told
),

found as (
    {% for level, uid in uids.items() %}
{% if not loop.first %}union all{% endif %}
    select
        '{{ level }}' as level,
        {{ loop.index }} as depth,
        {{ uid }} as uid,
        min(PatientID) as PatientID,
        {{ 'min(StudyInstanceUID)' if level != 'patient' else 'null' }} as StudyInstanceUID,
        {{ 'min(SeriesInstanceUID)' if level in ('series', 'instance') else 'null' }}
            as SeriesInstanceUID,
        {{ uid if level == 'instance' else 'null' }} as SOPInstanceUID,
        count(distinct SOPInstanceUID) as found_instances
    from {{ images }}
    where {{ uid }} is not null and '{{ level }}' in (select levels.level from levels)
    group by {{ uid }}
{% endfor %}
),

parents as (
    select
        level,
        uid
    from told
    where level <> 'instance'
),

unasked as (
    select found.*
    from found
    anti join told on found.level = told.level and found.uid = told.uid
    anti join parents on parents.level = 'patient' and found.PatientID = parents.uid
    anti join parents as studies on studies.level = 'study' and found.StudyInstanceUID = studies.uid
    anti join parents as series on series.level = 'series' and found.SeriesInstanceUID = series.uid
    where found.depth = (select max(lowest.depth) from found as lowest)
)

select
    wanted.line,
    wanted.level,
    coalesce(wanted.PatientID, found.PatientID) as PatientID,
    coalesce(wanted.StudyInstanceUID, found.StudyInstanceUID) as StudyInstanceUID,
    coalesce(wanted.SeriesInstanceUID, found.SeriesInstanceUID) as SeriesInstanceUID,
    wanted.SOPInstanceUID,
    wanted.expected_instances,
    case when wanted.problem is null then coalesce(found.found_instances, 0) end
        as found_instances,
    case
        when wanted.problem is not null then 'invalid'
        when found.uid is null and coalesce(wanted.expected_instances, 1) > 0 then 'missing'
        when wanted.expected_instances is null then 'present'
        when found.found_instances < wanted.expected_instances then 'incomplete'
        when found.found_instances > wanted.expected_instances then 'surplus'
        else 'complete'
    end as state,
    wanted.problem
from wanted
left join found
    on wanted.problem is null and wanted.level = found.level and wanted.uid = found.uid

union all

select
    null as line,
    level,
    PatientID,
    StudyInstanceUID,
    SeriesInstanceUID,
    SOPInstanceUID,
    null as expected_instances,
    found_instances,
    'unasked' as state,
    null as problem
from unasked
{%- endmacro %}
