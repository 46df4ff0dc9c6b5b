"""`run.pixel_stats`: what the published generation knew, what is still to be measured, what was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from dicomhouse.resources import resource
from dicomhouse.warehouse.database import SETTINGS, asking, attach, lock, writing


def keep(database: Path, lake: Path, previous: Path | None, version: int) -> None:
    """Take over the statistics of files that did not change.

    Args:
        database: the new generation's DuckDB file, registered.
        lake: its lake.
        previous: the published generation's DuckDB file; None where nothing of it counts.
        version: of what is measured and how.

    Raises:
        StorageError: a file cannot be written, or the published one not read.
    """
    if previous is None:
        return
    with writing(database), duckdb.connect(str(database), config=SETTINGS) as connection:
        attach(connection, previous)
        has_stats = bool(connection.execute(_statement("has_stats")).fetchall())
        lock(connection, lake)
        if has_stats:
            connection.execute("set variable version = ?", [version])
            with asking(previous):
                connection.execute(_statement("stats_kept"))


def unmeasured(database: Path, lake: Path) -> list[dict[str, Any]]:
    """Images with pixel data and no statistics yet, as `sql/pixels/unmeasured.sql` tells them."""
    with writing(database), duckdb.connect(str(database), config=SETTINGS) as connection:
        lock(connection, lake)
        rows: list[dict[str, Any]] = (
            connection.sql(_statement("unmeasured")).to_arrow_table().to_pylist()
        )
        return rows


def add(database: Path, lake: Path, measured: Sequence[pa.Table], version: int) -> None:
    """Add what was measured; of files that are no more, or others now, nothing.

    Raises:
        StorageError: the file cannot be written.
    """
    if not measured:
        return
    with writing(database), duckdb.connect(str(database), config=SETTINGS) as connection:
        lock(connection, lake)
        connection.execute("set variable version = ?", [version])
        connection.register("measured", pa.concat_tables(measured, promote_options="permissive"))
        connection.execute(_statement("measured"))


def _statement(name: str) -> str:
    return resource("sql", "pixels", f"{name}.sql").read_text()
