-- One patient, module by module: constant attributes with their value, varying ones with counts.
-- param patient (needed): a PatientID, a patient folder or a patient_key
-- param source: this source alone
with

patients as (
    select
        source,
        patient_key
    from main.images
    where
        getvariable('patient') in (PatientID, patient_folder, patient_key)
        and source = coalesce(getvariable('source'), source)
    group by source, patient_key
),

iods as (
    select
        images.source,
        images.patient_key,
        sop_classes.iod,
        count(*) as images
    from main.images as images
    inner join patients
        on images.source = patients.source and images.patient_key = patients.patient_key
    inner join standard.sop_classes as sop_classes
        on images.SOPClassUID = sop_classes.sop_class_uid
    group by all
),

-- Where the patient's objects differ, a general module counts, else that of most images, so that a
-- path stands once.
modules as (
    select
        iods.source,
        iods.patient_key,
        attributes.path,
        attributes.module,
        attributes.module_place
    from iods
    inner join intermediate.int_iod_attributes as attributes on iods.iod = attributes.iod
    qualify row_number() over (
        partition by iods.source, iods.patient_key, attributes.path
        order by
            attributes.is_general desc,
            iods.images desc,
            attributes.module_place nulls last,
            attributes.module
    ) = 1
),

counted as (
    select
        path_values.source,
        path_values.patient_key,
        path_values.path,
        path_values.value_key,
        min(path_values.value) as value,
        sum(path_values.images)::bigint as images
    from intermediate.int_series_path_values as path_values
    inner join patients
        on
            path_values.source = patients.source
            and path_values.patient_key = patients.patient_key
    where not path_values.is_empty
    group by all
),

summaries as (
    select
        source,
        patient_key,
        path,
        min(value) as value_min,
        max(value) as value_max,
        list(concat(left(value, 64), ': ', images) order by images desc, value)[:5] as counts
    from counted
    group by source, patient_key, path
)

select
    tags.source,
    tags.patient_key,
    coalesce(modules.module, 'no module of these objects') as module,
    tags.path,
    tags.state,
    tags.value,
    case when tags.distinct_values between 2 and tags.present - 1 then summaries.counts end
        as commonest_counts,
    case when tags.state = 'varies' then tags.number_min end as number_min,
    case when tags.state = 'varies' then tags.number_max end as number_max,
    case when tags.state = 'varies' and is_moment(tags.vr) then summaries.value_min end
        as time_min,
    case when tags.state = 'varies' and is_moment(tags.vr) then summaries.value_max end
        as time_max,
    tags.distinct_values,
    tags.present,
    tags.empty,
    tags.absent
from patient_tags as tags
inner join patients
    on tags.source = patients.source and tags.patient_key = patients.patient_key
inner join intermediate.int_paths as paths
    on tags.source = paths.source and tags.path = paths.path
left join modules
    on
        tags.source = modules.source
        and tags.patient_key = modules.patient_key
        and paths.standard_path = modules.path
left join summaries
    on
        tags.source = summaries.source
        and tags.patient_key = summaries.patient_key
        and tags.path = summaries.path
order by
    tags.source,
    tags.patient_key,
    modules.module_place nulls last,
    modules.module nulls last,
    tags.tag,
    tags.path
