"""The lake as Delta tables: its parts, beside logs of ours that say which of them count.

Each table is a folder with a `_delta_log`, whose files are its versions: what came, what went, and
the columns (https://github.com/delta-io/delta/blob/master/PROTOCOL.md). Readers look at nothing
else, so that a version is there as soon as its file is. Delta has neither times of day nor unsigned
numbers: parts with such columns are written anew, with text and decimals in their place.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from dicomhouse.filesystem import private_name, replacing, sync
from dicomhouse.lake.layout import COLUMNS_PART, NULL_PARTITION, TABLES
from dicomhouse.lake.parts import FORMS, PartFile
from dicomhouse.lake.records import PartRecord

LOG = "_delta_log"
_PARTITIONS = {
    "files": ["source"],
    "images": ["source", "Modality"],
    "elements": ["source", "Modality"],
}
_TIMES_AS_WRITTEN = ["timestampNtz"]
_TYPES = {
    pa.string(): "string",
    pa.int64(): "long",
    pa.int32(): "integer",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.timestamp("us"): "timestamp_ntz",
    pa.decimal128(20, 0): "decimal(20,0)",
}
_IN_PLACE_OF = {pa.time64("us"): pa.string(), pa.uint64(): pa.decimal128(20, 0)}


@dataclass(frozen=True)
class Version:
    """What an export made of a table."""

    table: str
    number: int
    parts: int
    """In it."""
    came: int
    went: int


def export(lake: Path, records: Iterable[PartRecord], folder: Path, link: bool) -> list[Version]:
    """Make each table of a lake the newest version of the Delta table of its name below a folder.

    What is there already stays, and is not written again. Nothing is removed: a version that a
    reader has open is whole until somebody vacuums the table.

    Args:
        lake: of a generation that is held.
        records: of its parts.
        folder: where the tables are, or are to be.
        link: make hard links rather than copies.

    Raises:
        OSError: it cannot be written, or another export was quicker.
        ValueError: the log of a table there is none that this can follow.
    """
    parts = [path for record in records for path in record.paths]
    versions = []
    for table in TABLES:
        (columns,) = (lake / table).rglob(COLUMNS_PART)
        schema = pq.read_schema(columns)
        wanted = sorted(path.removeprefix(f"{table}/") for path in parts if path.startswith(table))
        versions.append(_next_version(table, schema, lake / table, wanted, folder / table, link))
    return versions


def _next_version(
    table: str, schema: pa.Schema, lake: Path, wanted: list[str], folder: Path, link: bool
) -> Version:
    log = folder / LOG
    log.mkdir(parents=True, exist_ok=True)
    known = _Known(log)
    came = [path for path in wanted if path not in known.files]
    went = sorted(known.files.keys() - set(wanted))
    put = _copy if _stored(schema) == schema else _write
    for path in came:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        put(lake / path, folder / path, link)
    actions = list(_columns(table, schema, known.metadata))
    now = int(time.time() * 1000)
    actions += [
        {"remove": {"path": known.files[path], "deletionTimestamp": now, "dataChange": True}}
        for path in went
    ]
    actions += [{"add": _added(path, folder)} for path in came]
    if not actions:
        return Version(table, known.number, len(wanted), 0, 0)
    commit = {"timestamp": now, "operation": "WRITE", "engineInfo": "dicomhouse"}
    number = known.number + 1
    _write_new(log / f"{number:020}.json", [{"commitInfo": commit}, *actions])
    return Version(table, number, len(wanted), len(came), len(went))


class _Known:
    """What the log of a table says by now.

    Raises:
        ValueError: versions are missing, as where another program has cleaned up, or are damaged.
    """

    def __init__(self, log: Path) -> None:
        self.number = -1
        self.metadata: dict[str, Any] | None = None
        self.files: dict[str, str] = {}
        """As they stand there, by path below the table."""
        for path in sorted(log.glob("[0-9]*.json")):
            self.number += 1
            if path.name != f"{self.number:020}.json":
                raise ValueError(f"version {self.number} is not there")
            for line in path.read_text().splitlines():
                self._follow(json.loads(line))

    def _follow(self, action: dict[str, Any]) -> None:
        if added := action.get("add"):
            self.files[unquote(added["path"])] = added["path"]
        elif removed := action.get("remove"):
            self.files.pop(unquote(removed["path"]), None)
        self.metadata = action.get("metaData", self.metadata)


def _columns(
    table: str, schema: pa.Schema, known: dict[str, Any] | None
) -> Iterator[dict[str, Any]]:
    """The actions that tell a table's columns, where they are others than before."""
    fields = [_named(name, "string") for name in _PARTITIONS[table]]
    fields += [_named(field.name, _type(field.type)) for field in _stored(schema)]
    struct = json.dumps({"type": "struct", "fields": fields})
    if known is None:
        yield {
            "protocol": {"minReaderVersion": 3, "minWriterVersion": 7,
                         "readerFeatures": _TIMES_AS_WRITTEN, "writerFeatures": _TIMES_AS_WRITTEN}
        }  # fmt: skip
        known = {
            "id": str(uuid4()),
            "format": {"provider": "parquet", "options": {}},
            "partitionColumns": _PARTITIONS[table],
            "configuration": {},
        }
    if known.get("schemaString") != struct:
        yield {"metaData": {**known, "schemaString": struct}}


def _named(name: str, kind: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "nullable": True, "metadata": {}}


def _type(kind: pa.DataType) -> Any:
    """A type of Arrow's in Delta's words."""
    if pa.types.is_list(kind):
        return {"type": "array", "elementType": _type(kind.value_type), "containsNull": True}
    return _TYPES[kind]


def _stored(schema: pa.Schema) -> pa.Schema:
    """The columns as Delta can hold them."""
    return pa.schema([field.with_type(_stored_type(field.type)) for field in schema])


def _stored_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_stored_type(kind.value_type)))
    return _IN_PLACE_OF.get(kind, kind)


def _copy(source: Path, target: Path, link: bool) -> None:
    """Give a table a part as it is."""
    if link:
        with suppress(FileExistsError):  # of an export that was stopped
            target.hardlink_to(source)
        return
    with replacing(target) as private:
        shutil.copyfile(source, private)


def _write(source: Path, target: Path, link: bool) -> None:
    """Give a table a part with the types that Delta has; as it is where it has no others."""
    with pq.ParquetFile(source) as file:
        schema = _stored(file.schema_arrow)
        if schema == file.schema_arrow:
            _copy(source, target, link)
            return
        written = PartFile(target.parent, target.stem, schema, FORMS["images"])
        for number in range(file.num_row_groups):
            written.write(file.read_row_group(number).cast(schema))
        written.close()


def _added(path: str, folder: Path) -> dict[str, Any]:
    status = (folder / path).stat()
    partitions = (part.partition("=") for part in path.split("/")[:-1])
    return {
        "path": quote(path, safe="/="),
        "partitionValues": {
            name: None if value == NULL_PARTITION else unquote(value)
            for name, _, value in partitions
        },
        "size": status.st_size,
        "modificationTime": int(status.st_mtime * 1000),
        "dataChange": True,
    }


def _write_new(path: Path, actions: list[dict[str, Any]]) -> None:
    """Write a version in one step, and never over one that is there."""
    private = private_name(path)
    try:
        private.write_text("".join(f"{json.dumps(action)}\n" for action in actions))
        sync(private)
        os.link(private, path)
    finally:
        private.unlink(missing_ok=True)
