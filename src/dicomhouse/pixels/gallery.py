"""Small pictures of a warehouse's volumes, for its report."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import duckdb

from dicomhouse.errors import DicomhouseError
from dicomhouse.pixels.pictures import write_montage, write_planes
from dicomhouse.pixels.volume import find_stack
from dicomhouse.resources import resource
from dicomhouse.warehouse.database import query

Pictures = dict[tuple[str, str], dict[str, bytes] | str]
"""By source and series_key: WebP files by what they show, or why there are none."""


def gallery(
    connection: duckdb.DuckDBPyConnection,
    most: int,
    jobs: int = 2,
    count: Callable[[int, int], None] = lambda done, of: None,
) -> Pictures:
    """The mid planes and a montage of up to `most` volumes, each patient's first before others.

    Args:
        connection: to a warehouse whose sources are where they were.
        jobs: worker processes that decode.
        count: gets how many volumes are drawn, and of how many.
    """
    statement = resource("sql", "commands", "pictured_series.sql").read_text()
    chosen = query(connection, statement, {"most": most}).to_pylist()
    pictures: Pictures = {}
    for row in chosen:
        key = row["series_key"]
        pictures[row["source"], key] = _pictures(connection, key, jobs)
        count(len(pictures), len(chosen))
    return pictures


def _pictures(
    connection: duckdb.DuckDBPyConnection, series_key: str, jobs: int
) -> dict[str, bytes] | str:
    try:
        volume = find_stack(connection, series_key).read(jobs=jobs)
    except DicomhouseError as error:
        return str(error)
    with tempfile.TemporaryDirectory() as folder:
        planes, montage = Path(folder, "planes.webp"), Path(folder, "montage.webp")
        write_planes(volume, planes, size=240)
        write_montage(volume, montage, size=96)
        return {"mid planes": planes.read_bytes(), "montage": montage.read_bytes()}
