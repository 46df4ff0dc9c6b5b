-- The DICOM standard beside the lake. Before this runs, the placeholder of the
-- folder in each read_parquet is replaced with where dicomhouse.standard ships
-- its tables, single quotes doubled. They are copied, so that a warehouse
-- stands without the package.

create schema if not exists standard;

-- One row per entry of the data dictionary, a repeating group (60xx3000) being
-- one.
create or replace table standard.attributes as
select
    tag,
    keyword,
    name,
    vr,
    vm,
    is_retired
from read_parquet('{tables}/attributes.parquet');

-- One row per private creator x tag, `x` standing for any digit.
create or replace table standard.private_attributes as
select
    private_creator,
    tag,
    vr,
    vm,
    name
from read_parquet('{tables}/private_attributes.parquet');

-- One row per storage SOP class.
create or replace table standard.sop_classes as
select
    sop_class_uid,
    iod,
    name
from read_parquet('{tables}/sop_classes.parquet');

-- One row per UID that PS3.6 registers.
create or replace table standard.uids as
select
    uid,
    name,
    kind,
    keyword,
    is_retired
from read_parquet('{tables}/uids.parquet');

-- One row per IOD x module, also for the few modules that come without
-- attributes.
create or replace table standard.iod_modules as
select
    iod,
    module,
    usage,
    information_entity,
    link_standard
from read_parquet('{tables}/iod_modules.parquet');

-- One row per module x attribute path.
create or replace table standard.modules as
select
    module,
    path,
    tag_path,
    tag,
    keyword,
    attribute_type,
    is_judged
from read_parquet('{tables}/modules.parquet');

-- One row per IOD x functional group that its images must have: all of them, or
-- those where value 1 of ImageType is one of image_types.
create or replace table standard.functional_groups as
select
    iod,
    sequence,
    attribute_type,
    image_types
from read_parquet('{tables}/functional_groups.parquet');

-- One row per path that an element of the dictionaries has in the lake; the
-- mask of a repeating group stands for its tags. Of a private creator's
-- entries at one path, the one that leaves the block open counts.
create or replace view standard.dicom_tags as
select
    coalesce(case when tag not like '%x%' then keyword end, tag) as path,
    tag,
    null as private_creator,
    keyword,
    name,
    vr,
    vm,
    is_retired
from standard.attributes
union all by name
select
    concat(
        '(', left(tag, 4), ',"', replace(private_creator, '"', '""'), '",', right(tag, 2), ')'
    ) as path,
    tag,
    private_creator,
    null as keyword,
    name,
    vr,
    vm,
    false as is_retired
from standard.private_attributes
where tag not like '%xx'
qualify row_number() over (
    partition by left(tag, 4), private_creator, right(tag, 2)
    order by tag like '____xx__' desc, tag desc
) = 1;

-- One row per IOD x module x attribute path.
create or replace view standard.module_attributes as
select
    iod_modules.iod,
    iod_modules.module,
    iod_modules.usage,
    iod_modules.information_entity,
    modules.path,
    modules.tag,
    modules.keyword,
    attributes.name,
    attributes.vr,
    attributes.vm,
    attributes.is_retired,
    modules.attribute_type,
    modules.is_judged,
    iod_modules.link_standard,
    concat(
        'https://dicom.innolitics.com/ciods/',
        iod_modules.iod, '/', modules.module, '/', modules.tag_path
    ) as link_innolitics
from standard.iod_modules
inner join standard.modules on iod_modules.module = modules.module
inner join standard.attributes on modules.tag = attributes.tag;

-- One row per SOP class x module x attribute path.
create or replace view standard.iod_attributes as
select
    sop_classes.sop_class_uid,
    sop_classes.iod,
    module_attributes.module,
    module_attributes.usage,
    module_attributes.information_entity,
    module_attributes.keyword,
    module_attributes.path,
    module_attributes.attribute_type
from standard.sop_classes
inner join standard.module_attributes
    on sop_classes.iod = module_attributes.iod;
