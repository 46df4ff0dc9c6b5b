-- The DICOM standard beside the lake. Before this runs, the placeholder of the
-- folder in each read_parquet is replaced with where dicomhouse.standard ships
-- its tables, single quotes doubled.

create schema if not exists standard;

-- One row per entry of the data dictionary, a repeating group (60xx3000) being
-- one.
create or replace view standard.attributes as
select
    tag,
    keyword,
    name,
    vr,
    vm,
    is_retired
from read_parquet('{tables}/attributes.parquet');

-- One row per storage SOP class.
create or replace view standard.sop_classes as
select
    sop_class_uid,
    iod,
    name
from read_parquet('{tables}/sop_classes.parquet');

-- One row per IOD x module, also for the few modules that come without
-- attributes.
create or replace view standard.iod_modules as
select
    iod,
    module,
    usage,
    information_entity,
    link_standard
from read_parquet('{tables}/iod_modules.parquet');

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
    modules.attribute_type,
    iod_modules.link_standard,
    concat(
        'https://dicom.innolitics.com/ciods/',
        iod_modules.iod, '/', modules.module, '/', modules.tag_path
    ) as link_innolitics
from read_parquet('{tables}/iod_modules.parquet') as iod_modules
inner join read_parquet('{tables}/modules.parquet') as modules
    on iod_modules.module = modules.module;

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
