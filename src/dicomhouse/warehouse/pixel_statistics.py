"""`run.pixel_stats`: what is still to be measured, and what was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from dicomhouse import versions
from dicomhouse.resources import resource
from dicomhouse.warehouse.database import SETTINGS, lock, writing


def unmeasured(database: Path, lake: Path) -> list[dict[str, Any]]:
    """Images with pixel data and no statistics yet, as `sql/pixels/unmeasured.sql` tells them."""
    with writing(database), duckdb.connect(str(database), config=SETTINGS) as connection:
        lock(connection, lake)
        rows: list[dict[str, Any]] = (
            connection.sql(_statement("unmeasured")).to_arrow_table().to_pylist()
        )
        return rows


def add(database: Path, lake: Path, measured: Sequence[pa.Table]) -> None:
    """Add what was measured; of files that are no more, or others now, nothing.

    Raises:
        StorageError: the file cannot be written.
    """
    if not measured:
        return
    with writing(database), duckdb.connect(str(database), config=SETTINGS) as connection:
        lock(connection, lake)
        connection.execute("set variable version = ?", [versions.PIXELS])
        connection.register("measured", pa.concat_tables(measured, promote_options="permissive"))
        connection.execute(_statement("measured"))


def _statement(name: str) -> str:
    return resource("sql", "pixels", f"{name}.sql").read_text()
