with

-- A file ID leads to a file from the DICOMDIR's own folder (PS3.10 8.5); the case of names is lost
-- on many media.
named as (
    select distinct
        files.source,
        files.path as dicomdir,
        case when files.folder = '' then '' else files.folder || '/' end
        || replace(elements.value, '\', '/') as path
    from {{ ref('stg_elements') }} as elements
    inner join {{ ref('files') }} as files on elements.file_id = files.file_id
    where
        elements.path = 'DirectoryRecordSequence.ReferencedFileID'
        and elements.value is not null
),

known as (
    select distinct
        source,
        upper(path) as path
    from {{ ref('files') }}
),

counted as (
    select
        named.source,
        named.dicomdir,
        count(*) as files,
        list(named.path order by named.path) filter (known.path is null) as missing
    from named
    left join known
        on
            named.source = known.source
            and upper(named.path) = known.path
    group by named.source, named.dicomdir
)

select
    source,
    'dicomdir_file_missing' as rule,
    dicomdir as subject,
    null::varchar as patient_key,
    null::varchar as study_key,
    null::varchar as series_key,
    null::varchar as severity,
    len(missing)::double as measured,
    len(missing) as n_offenders,
    missing as offenders,
    len(missing) || ' of ' || {{ count_of('files', 'file') }} || ' that the DICOMDIR names '
    || case when len(missing) = 1 then 'is' else 'are' end || ' not there' as message
from counted
where len(missing) > 0
