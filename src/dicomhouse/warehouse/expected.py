"""Lists of what should be here: CSV, Parquet, or what a C-FIND found, as DICOM JSON.

A list is read as text; what it says, and against what is here, is said in SQL
(`dbt/macros/expected_and_found.sql`).
"""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterator, Mapping
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

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
_PROBLEM = "\0problem"
"""A column of our own, which no file can have."""
_KNOWN = {name.lower(): name for name in COLUMNS} | _OTHER_NAMES | {_PROBLEM: "problem"}
"""By what a head may call a column, in lower case and without blanks, dashes and lines."""
_NEEDED = (
    "it needs a column PatientID, StudyInstanceUID, SeriesInstanceUID or SOPInstanceUID, and may "
    "have one of their number of instances, such as NumberOfSeriesRelatedInstances or `instances`"
)


def read(path: Path) -> Iterator[pa.Table]:
    """The rows of a list, some at a time, as text.

    Yields:
        tables of `line`, the columns of COLUMNS, and the `problem` of a line that cannot be read.
        `line` is that of the file; in Parquet and JSON the ordinal of the row, from 1.

    Raises:
        UsageError: it cannot be read, or has no column that names what should be here.
    """
    import pyarrow as pa

    readers = {".parquet": _parquet, ".json": _dicom_json}
    try:
        for rows, lines in readers.get(path.suffix.lower(), _csv)(path):
            yield _named(rows, lines)
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = (
            getattr(error, "strerror", None) or str(error).split(". ")[0] or type(error).__name__
        )
        raise UsageError(
            "cannot read the list {path}: {reason}.", path=path, reason=reason
        ) from error


def load(connection: duckdb.DuckDBPyConnection, path: Path, into: str) -> None:
    """Add the rows of a list to a table that has their columns.

    Raises:
        UsageError: the list cannot be read.
    """
    for rows in read(path):
        connection.register("rows_read", rows)
        connection.execute(f"insert into {into} by name select * from rows_read")
        connection.unregister("rows_read")


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
            "cannot read the list {path}: {reason}.", path=path, reason=error.strerror
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
    connection.register("no_rows", _schema().empty_table())
    connection.execute("create temporary table listed as select * from no_rows")
    load(connection, path, "listed")
    connection.execute(f"create temporary view expected as {sql}")


def _schema() -> pa.Schema:
    import pyarrow as pa

    texts = [(name, pa.string()) for name in (*COLUMNS, "problem")]
    return pa.schema([("line", pa.int64()), *texts])


def _named(rows: pa.Table, lines: Any) -> pa.Table:
    """The columns that are known, under their names and as text, empty ones as null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    named: dict[str, Any] = {"line": lines}
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        if (known := _known(name)) and known not in named:
            trimmed = pc.ascii_trim(column.cast(pa.string()), " \t\0")
            named[known] = pc.if_else(pc.equal(trimmed, ""), None, trimmed)
    if not any(name in named for name in (*_ENTITIES, "problem")):
        raise ValueError(_NEEDED)
    schema = _schema()
    nulls = pa.nulls(len(lines), pa.string())
    return pa.table({name: named.get(name, nulls) for name in schema.names}, schema=schema)


def _known(name: str) -> str | None:
    return _KNOWN.get(re.sub(r"[ _-]", "", name.lower()))


def _bad(lines: Mapping[int, str]) -> tuple[pa.Table, Any]:
    """Lines that cannot be read, each with what is wrong with it."""
    import pyarrow as pa

    return pa.table({_PROBLEM: list(lines.values())}), pa.array(lines, pa.int64())


class _Utf8(io.RawIOBase):
    """A file that fails where it is not UTF-8: Arrow calls back with such a line, and cannot."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def readable(self) -> bool:
        return True

    def read(self, n: int = -1) -> bytes:
        content = self._file.read(n)
        self._decoder.decode(content, final=not content)
        return content

    def close(self) -> None:
        self._file.close()
        super().close()


def _csv(path: Path) -> Iterator[tuple[pa.Table, Any]]:
    import numpy as np
    import pyarrow as pa
    from pyarrow import csv

    bad: dict[int, str] = {}

    def skip(row: csv.InvalidRow) -> str:
        columns = f"{row.actual_columns} column{'' if row.actual_columns == 1 else 's'}"
        bad[row.number] = f"it has {columns} of {row.expected_columns}"
        return "skip"

    with path.open(encoding="utf-8-sig", newline="") as file:
        head = file.readline(100_000)
    delimiter = max(",;\t", key=head.count)
    names = [name.strip().strip('"') for name in head.strip().split(delimiter)]
    found = csv.open_csv(
        _Utf8(path.open("rb")),
        csv.ReadOptions(use_threads=False, column_names=names, skip_rows=1, block_size=1 << 24),
        csv.ParseOptions(delimiter=delimiter, ignore_empty_lines=False, invalid_row_handler=skip),
        csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )
    yield found.schema.empty_table(), pa.array([], pa.int64())  # no line names it: the head may
    line = 2
    for batch in found:
        lines = np.arange(line, line + batch.num_rows + len(bad))
        lines = lines[~np.isin(lines, list(bad))][: batch.num_rows]
        line = int(lines[-1]) + 1 if len(lines) else line
        yield pa.Table.from_batches([batch]), pa.array(lines)
    if bad:
        yield _bad(bad)


def _parquet(path: Path) -> Iterator[tuple[pa.Table, Any]]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    line = 1
    with pq.ParquetFile(path) as file:
        wanted = list(filter(_known, file.schema_arrow.names))
        for batch in file.iter_batches(columns=wanted):
            lines = np.arange(line, line + batch.num_rows)
            line += batch.num_rows
            yield pa.Table.from_batches([batch]), pa.array(lines)


def _dicom_json(path: Path) -> Iterator[tuple[pa.Table, Any]]:
    import pyarrow as pa

    try:
        content = json.loads(path.read_bytes())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    rows, bad = {}, {}
    for number, one in enumerate(content if isinstance(content, list) else [content], 1):
        if isinstance(one, dict):
            rows[number] = {name: _first_value(one.get(tag)) for name, tag in _TAGS.items()}
        else:
            bad[number] = "it is not a data set"
    schema = pa.schema([(name, pa.string()) for name in _TAGS])
    yield pa.Table.from_pylist(list(rows.values()), schema), pa.array(rows, pa.int64())
    if bad:
        yield _bad(bad)


def _first_value(element: Any) -> str | None:
    values = element.get("Value") if isinstance(element, dict) else None
    one = values[0] if isinstance(values, list) and values else None
    return str(one) if isinstance(one, str | int) and not isinstance(one, bool) else None
