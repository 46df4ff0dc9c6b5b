-- The columns beyond the named ones depend on what the files hold; models name these besides.
select * from {{ source('lake', 'images') }}
union all by name
select
    null::time as AcquisitionTime,
    null::double as NominalPercentageOfCardiacPhase,
    null::double as FrameReferenceTime,
    null::bigint as ImageIndex,
    null::varchar as ConcatenationUID
where false
