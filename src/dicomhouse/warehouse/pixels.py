"""Digests of pixel data where only it can tell two files of one instance apart.

Nothing else of a run reads pixels: the headers of nearly all images are told apart without them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from dicomhouse import versions
from dicomhouse.dicom.bounds import Budget
from dicomhouse.resources import resource
from dicomhouse.sources.opening import open_place, place
from dicomhouse.warehouse.database import (
    IN_MEMORY,
    SETTINGS,
    asking,
    attach,
    lock,
    writing,
)


def digest_repeated(
    database: Path,
    lake: Path,
    folders: Mapping[str, str],
    previous: Path | None,
    threads: int,
    budget: Budget,
) -> None:
    """Fill `run.pixel_digests` of a registered generation, and keep what is known of its pixels.

    A file whose size and modification time stayed keeps its digest and its statistics. One that
    cannot be read, or is beyond the budget, has a reason instead, and is tried again by the next
    run.

    Args:
        database: the generation's DuckDB file.
        lake: the generation's lake.
        folders: of the sources, by name.
        previous: the DuckDB file of a generation whose digests count, where there is one.
        threads: how many files to read at a time.
        budget: what may be read.
    """
    with writing(database), duckdb.connect(str(database), config=SETTINGS) as connection:
        known = set() if previous is None else _attach(connection, previous)
        lock(connection, lake)
        connection.execute("set variable version = ?", [versions.PIXELS])
        with asking(previous):
            for table in sorted(known):
                connection.execute(_statement(f"kept_{table}"))
        files = connection.sql(_statement("repeated")).to_arrow_table()
        if files.num_rows:
            connection.register("digested", _with_digests(files, folders, threads, budget))
            connection.execute(_statement("digested"))


def other_pixels(
    previous: Path, folders: Mapping[str, str], threads: int, budget: Budget
) -> tuple[list[tuple[str, str]], int]:
    """Source and path of the files whose pixel data is not what a generation's digests say.

    Those that cannot be read now, or are beyond the budget, are counted instead.

    Args:
        previous: the generation's DuckDB file.
        folders: as in `digest_repeated`, of the sources to look at.
        threads: how many files to read at a time.
        budget: what may be read.
    """
    with duckdb.connect(config=IN_MEMORY) as connection:
        if "pixel_digests" not in _attach(connection, previous):
            return [], 0
        lock(connection, previous.with_name("lake"))
        connection.execute("set variable sources = ?", [list(folders)])
        with asking(previous):
            files = connection.sql(_statement("known")).to_arrow_table()
        digested = _with_digests(files, folders, threads, budget)
        connection.register("digested", digested)
        differing = connection.sql(_statement("differing")).fetchall()
        return differing, int(digested["digest"].null_count)


def _attach(connection: duckdb.DuckDBPyConnection, previous: Path) -> set[str]:
    """Attach a generation's DuckDB file as `previous`; which tables it has of pixels."""
    attach(connection, previous)
    return {name for (name,) in connection.execute(_statement("known_tables")).fetchall()}


def _with_digests(
    files: pa.Table, folders: Mapping[str, str], threads: int, budget: Budget
) -> pa.Table:
    """Files in an order of their own, with the `digest` of their pixel data as it is now.

    `reason` says why there is none. Files are those of `source`, `path` and `size_bytes`;
    `bytes_so_far` is what they and those before them hold.
    """
    deadline = time.monotonic() + budget.pixel_seconds

    def digest(file: dict[str, Any]) -> tuple[str | None, str | None]:
        if file["source"] not in folders:
            return None, "file_unreadable: its source is not of this run"
        if file["bytes_so_far"] > budget.pixel_bytes:
            return None, "over_budget: of bytes to read pixels"
        if time.monotonic() > deadline:
            return None, "over_budget: of time to read pixels"
        where = place(folders[file["source"]], file["path"])
        return _digest(where, file["size_bytes"], deadline)

    with ThreadPoolExecutor(threads) as pool:
        rows = files.select(["source", "path", "size_bytes", "bytes_so_far"]).to_pylist()
        digests = list(pool.map(digest, rows))
    for number, name in enumerate(("digest", "reason")):
        files = files.append_column(name, pa.array([one[number] for one in digests], pa.string()))
    return files


def _digest(where: str, size: int, deadline: float) -> tuple[str | None, str | None]:
    """The digest of the pixel data of a file that had a size, or why there is none."""
    from dicomhouse.dicom.metered import Exceeded
    from dicomhouse.dicom.pixels import pixel_digest

    try:
        opened = open_place(where)
        with BufferedReader(opened.raw) as stream:
            if opened.facts.size_bytes != size:
                return None, "file_changed: since its header was read; build again"
            return pixel_digest(stream, deadline), None
    except OSError as error:
        return None, f"file_unreadable: {error.strerror or type(error).__name__}"
    except Exceeded as error:
        return None, str(error)


def _statement(name: str) -> str:
    return resource("sql", "pixels", f"{name}.sql").read_text()
