"""What differs between two files or instances, and what varies within a series."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dicomhouse.errors import UsageError
from dicomhouse.reader import Warehouse
from dicomhouse.resources import resource
from dicomhouse.settings import default_budget
from dicomhouse.sources.opening import open_place
from dicomhouse.warehouse import database

if TYPE_CHECKING:
    import pyarrow as pa

_COLUMNS = ("path", "item", "tag", "vr", "vm", "value", "number", "n_bytes", "digest")


def ignored_paths(names: Sequence[str]) -> list[str]:
    """Tags in any form as the parts of `elements.path` that they are.

    Raises:
        UsageError: a name is not a tag.
    """
    if not names:
        return []
    from dicomhouse.standard.dictionary import attribute
    from dicomhouse.standard.tags import PrivateTag, parse_tag

    parts = []
    for name in names:
        tag = parse_tag(name)
        known = None if isinstance(tag, PrivateTag) else attribute(tag)
        parts.append((known.keyword if known else None) or (
            str(tag) if isinstance(tag, PrivateTag) else f"{tag:08X}"
        ))  # fmt: skip
    return parts


def file_elements(path: str | Path) -> pa.Table:
    """The elements of one file on disk, its pixel data with a digest.

    Raises:
        UsageError: it cannot be read, not within the budget, or is not DICOM.
    """
    import pyarrow as pa

    from dicomhouse.dicom.elements import Headers
    from dicomhouse.dicom.metered import Exceeded
    from dicomhouse.dicom.pixels import pixel_digest
    from dicomhouse.dicom.tree import PIXEL_DATA
    from dicomhouse.dicom.walk import Walker

    headers = Headers()
    budget = default_budget()
    deadline = time.monotonic() + budget.pixel_seconds
    try:
        with open_place(str(path)).raw as stream:
            Walker(headers).read(stream)
            (header,) = headers.files
            pixels = pixel_digest(stream, deadline) if header.pixel_bytes else None
    except Exceeded:
        raise UsageError(
            f"cannot compare {path}: its pixels were not read within {budget.pixel_seconds} s. "
            "DICOMHOUSE_BUDGET=pixel_seconds=NUMBER gives more time."
        ) from None
    except OSError as error:
        if Path(path).is_dir():
            raise UsageError(
                f"{path} is a folder, and diff compares files. Name one file in it, or a series of "
                "a warehouse (--series UID) to see what varies between its images."
            ) from error
        raise UsageError(f"cannot read {path}: {error.strerror}.") from error
    if header.status not in ("ok", "truncated", "no_image"):
        raise UsageError(f"{path} is not a DICOM file that can be read: {header.reason}.")
    rows = [
        {
            **{name: getattr(element, name) for name in _COLUMNS if name != "item"},
            "item": item,
            "tag": f"{element.tag:08X}",
            "digest": pixels if element.tag in PIXEL_DATA and not item else element.digest,
        }
        for element, item in headers.occurrences(0)
    ]
    return pa.Table.from_pylist(rows, schema=_schema())


def instance_elements(warehouse: Warehouse, uid: str) -> pa.Table:
    """The elements of one instance of a warehouse; pixel data is known by its length alone.

    Raises:
        UsageError: no file has this SOPInstanceUID, or several have.
    """
    files = _ask(warehouse, "instance_files", {"uid": uid})
    if files.num_rows == 0:
        raise UsageError(f"{uid} is neither a file nor a SOPInstanceUID of the warehouse.")
    if files.num_rows > 1:
        raise UsageError(
            f"{files.num_rows} files of the warehouse have the SOPInstanceUID {uid}. Give their "
            "paths instead; they are in the table files."
        )
    file_id = str(files.column("file_id")[0])
    return _ask(warehouse, "instance_elements", {"file_id": file_id}).cast(_schema())


def difference(a: pa.Table, b: pa.Table, ignored: Sequence[str] = ()) -> pa.Table:
    """One row per element, by path and item, that one has not or that holds another value.

    Numbers are compared as numbers, text without padding, bulk data by length and digest.
    """
    return database.ask({"a": a, "b": b}, _statement("diff"), {"ignored": list(ignored)})


def variation(warehouse: Warehouse, series: str, ignored: Sequence[str] = ()) -> pa.Table:
    """One row per path that varies within a series, or that some of its images lack.

    Args:
        warehouse: the warehouse that holds the series.
        series: its SeriesInstanceUID, or its series_key.
        ignored: parts of paths to leave out.

    Raises:
        UsageError: no series of the warehouse is it, or several sources have it.
    """
    found = _ask(warehouse, "series_keys", {"series": series})
    if found.num_rows == 0:
        raise UsageError(f"no series {series} in the warehouse; the table series lists them.")
    if found.num_rows > 1:
        keys = ", ".join(f"{row['series_key']} ({row['source']})" for row in found.to_pylist())
        raise UsageError(f"several sources have this series. Name one by its key: {keys}.")
    (key,) = found.to_pylist()
    return _ask(warehouse, "series_variation", {**key, "ignored": list(ignored)})


def _ask(warehouse: Warehouse, name: str, variables: dict[str, str | list[str]]) -> pa.Table:
    return database.query(warehouse.connection, _statement(name), variables)


def _statement(name: str) -> str:
    return resource("sql", "commands", f"{name}.sql").read_text()


def _schema() -> pa.Schema:
    import pyarrow as pa

    from dicomhouse.lake.schema import ELEMENTS

    return pa.schema([ELEMENTS.field(name).with_nullable(True) for name in _COLUMNS])
