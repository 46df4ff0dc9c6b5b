"""Lists of what should be here: CSV, Parquet, or what a C-FIND found, as DICOM JSON.

A list is read as text; what it says, and against what is here, is said in SQL
(`dbt/macros/expected_and_found.sql`).
"""

from __future__ import annotations

import json
import re
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicomhouse.errors import UsageError
from dicomhouse.resources import resource

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_TAGS = {
    "PatientID": "00100020",
    "StudyInstanceUID": "0020000D",
    "SeriesInstanceUID": "0020000E",
    "SOPInstanceUID": "00080018",
    "NumberOfPatientRelatedInstances": "00201204",
    "NumberOfStudyRelatedInstances": "00201208",
    "NumberOfSeriesRelatedInstances": "00201209",
}
_ENTITIES = tuple(_TAGS)[:4]
_OTHER_NAMES = {
    "studyuid": "StudyInstanceUID", "seriesuid": "SeriesInstanceUID",
    "instanceuid": "SOPInstanceUID", "sopuid": "SOPInstanceUID",
    "images": "instances", "count": "instances", "expected": "instances",
}  # fmt: skip
COLUMNS = (*_TAGS, "instances")
_KNOWN = {name.lower(): name for name in COLUMNS} | _OTHER_NAMES
"""By what a head may call a column, in lower case and without blanks, dashes and lines."""
_NEEDED = (
    "it needs a column PatientID, StudyInstanceUID, SeriesInstanceUID or SOPInstanceUID, and may "
    "have one of their number of instances, such as NumberOfSeriesRelatedInstances or `instances`"
)


def read(path: Path) -> pa.Table:
    """The rows of a list, as text: `line`, the columns of COLUMNS, and the `problem` of a bad line.

    `line` is that of the file; in Parquet and JSON the ordinal of the row, from 1.

    Raises:
        UsageError: it cannot be read, or has no column that names what should be here.
    """
    import pyarrow as pa

    readers = {".parquet": _parquet, ".json": _dicom_json}
    try:
        return _normal(*readers.get(path.suffix.lower(), _csv)(path))
    except (OSError, ValueError, pa.ArrowException) as error:
        told = getattr(error, "strerror", None) or str(error).split(". ")[0] or type(error).__name__
        raise UsageError("cannot read the list {path}: {told}.", path=path, told=told) from error


def digest(path: Path | None) -> str | None:
    """Of what a list holds; None where there is none.

    Raises:
        UsageError: it cannot be read.
    """
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            return file_digest(file, "blake2b").hexdigest()[:16]
    except OSError as error:
        raise UsageError(
            "cannot read the list {path}: {told}.", path=path, told=error.strerror
        ) from error


def compare(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Let `expected` be what a list says, on a connection to a published generation.

    The SQL is that of the model: dbt's macro, with other relations.

    Raises:
        UsageError: the list cannot be read.
    """
    from jinja2 import Environment

    macro = resource("dbt", "macros", "expected_and_found.sql").read_text()
    called = macro + "{{ expected_and_found('listed', 'main.images') }}"
    sql = Environment().from_string(called).render()  # no HTML
    connection.register("listed", read(path))
    connection.execute(f"create temporary table expected as {sql}")
    connection.unregister("listed")


def _normal(rows: pa.Table, lines: Any, bad: list[tuple[int, str]]) -> pa.Table:
    """The columns that are known, as text, and after them the lines that could not be read."""
    import pyarrow as pa
    import pyarrow.compute as pc

    named: dict[str, Any] = {}
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        known = _KNOWN.get(re.sub(r"[ _-]", "", name.lower()))
        if known and known not in named:
            named[known] = column
    if not any(name in named for name in _ENTITIES):
        raise ValueError(_NEEDED)
    n = rows.num_rows
    columns = {"line": pa.chunked_array([lines])}
    for name in COLUMNS:
        if name in named:
            trimmed = pc.ascii_trim(named[name].cast(pa.string()), " \t\0")
            columns[name] = pc.if_else(pc.equal(trimmed, ""), None, trimmed)
        else:
            columns[name] = pa.nulls(n, pa.string())
    columns["problem"] = pa.nulls(n, pa.string())
    table = pa.table(columns)
    if not bad:
        return table
    rest = {name: [None] * len(bad) for name in COLUMNS}
    told = {"line": [line for line, _ in bad], **rest, "problem": [why for _, why in bad]}
    return pa.concat_tables([table, pa.table(told, schema=table.schema)])


def _csv(path: Path) -> tuple[pa.Table, Any, list[tuple[int, str]]]:
    import numpy as np
    import pyarrow as pa
    from pyarrow import csv

    bad: list[tuple[int, str]] = []

    def skip(row: csv.InvalidRow) -> str:
        bad.append((row.number, f"it has {row.actual_columns} columns of {row.expected_columns}"))
        return "skip"

    with path.open(encoding="utf-8-sig", newline="") as file:
        head = file.readline(100_000)
        while file.read(1 << 24):  # Arrow calls back with what is not UTF-8, and cannot
            pass
    delimiter = max(",;\t", key=head.count)
    names = [name.strip().strip('"') for name in head.strip().split(delimiter)]
    rows = csv.read_csv(
        path,
        csv.ReadOptions(use_threads=False, column_names=names, skip_rows=1, block_size=1 << 24),
        csv.ParseOptions(delimiter=delimiter, ignore_empty_lines=False, invalid_row_handler=skip),
        csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )
    lines = np.arange(2, rows.num_rows + len(bad) + 2)
    return rows, pa.array(np.delete(lines, [line - 2 for line, _ in bad])), bad


def _parquet(path: Path) -> tuple[pa.Table, Any, list[tuple[int, str]]]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        wanted = [n for n in file.schema_arrow.names if re.sub(r"[ _-]", "", n.lower()) in _KNOWN]
        rows = file.read(wanted)
    return rows, pa.array(np.arange(1, rows.num_rows + 1)), []


def _dicom_json(path: Path) -> tuple[pa.Table, Any, list[tuple[int, str]]]:
    import pyarrow as pa

    try:
        told = json.loads(path.read_bytes())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    found = told if isinstance(told, list) else [told]
    rows, lines, bad = [], [], []
    for number, one in enumerate(found, 1):
        if isinstance(one, dict):
            rows.append({name: _first_value(one.get(tag)) for name, tag in _TAGS.items()})
            lines.append(number)
        else:
            bad.append((number, "it is no data set"))
    schema = pa.schema([(name, pa.string()) for name in _TAGS])
    return pa.Table.from_pylist(rows, schema), pa.array(lines, pa.int64()), bad


def _first_value(element: Any) -> str | None:
    values = element.get("Value") if isinstance(element, dict) else None
    one = values[0] if isinstance(values, list) and values else None
    return str(one) if isinstance(one, str | int) and not isinstance(one, bool) else None
