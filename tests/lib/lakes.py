"""A lake of a few files, and its rows."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from dicomhouse.dicom.elements import Headers
from dicomhouse.dicom.reference import read_header
from dicomhouse.lake.orders import FileFacts
from dicomhouse.lake.parts import PartSummary, write_part


def write(lake: Path, files: dict[str, bytes], name: str = "part-1") -> PartSummary:
    headers = Headers()
    for data in files.values():
        read_header(io.BytesIO(data), headers)
    facts = [FileFacts(path, len(data), 1_700_000_000_000_000_999) for path, data in files.items()]
    return write_part(lake, name, "s", "run", facts, headers)


def rows(lake: Path, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for part in sorted((lake / table).rglob("*.parquet")):
        found += pq.ParquetFile(part).read().to_pylist()
    return found


def only(lake: Path, table: str, **wanted: Any) -> dict[str, Any]:
    (row,) = [r for r in rows(lake, table) if all(r[k] == v for k, v in wanted.items())]
    return row
