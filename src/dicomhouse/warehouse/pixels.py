"""Digests of pixel data where only it can tell two files of one instance apart.

Nothing else of a run reads pixels: the headers of nearly all images are told apart without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from pathlib import Path

import duckdb
import pyarrow as pa

from dicomhouse.filesystem import open_file, os_path
from dicomhouse.resources import resource
from dicomhouse.warehouse.database import (
    IN_MEMORY,
    SETTINGS,
    asking,
    attach,
    lock,
    writing,
)


def digest_repeated(
    database: Path, lake: Path, folders: Mapping[str, Path], previous: Path | None, threads: int
) -> int:
    """Fill `run.pixel_digests` of a registered generation; returns how many files were read.

    A file whose size and modification time stayed keeps its digest. One that cannot be read has
    none, and counts as different from all others.

    Args:
        database: the generation's DuckDB file.
        lake: the generation's lake.
        folders: of the sources, by name.
        previous: the DuckDB file of a generation whose digests count, where there is one.
        threads: how many files to read at a time.
    """
    with writing(database), duckdb.connect(str(database), config=SETTINGS) as connection:
        has_previous = previous is not None and _attach(connection, previous)
        lock(connection, lake)
        if has_previous:
            with asking(previous):
                connection.execute(_statement("kept"))
        files = connection.sql(_statement("repeated")).to_arrow_table()
        if files.num_rows:
            connection.register("digested", _with_digests(files, folders, threads))
            connection.execute(_statement("digested"))
    return files.num_rows


def other_pixels(
    previous: Path, folders: Mapping[str, Path], threads: int
) -> list[tuple[str, str]]:
    """Source and path of the files whose pixel data is not what a generation's digests say.

    One that cannot be read now is not among them.

    Args:
        previous: the generation's DuckDB file.
        folders: as in `digest_repeated`, of the sources to look at.
        threads: how many files to read at a time.
    """
    with duckdb.connect(config=IN_MEMORY) as connection:
        if not _attach(connection, previous):
            return []
        lock(connection, previous.with_name("lake"))
        with asking(previous):
            files = connection.sql(_statement("known")).to_arrow_table()
        connection.register("digested", _with_digests(files, folders, threads))
        return connection.sql(_statement("differing")).fetchall()


def _attach(connection: duckdb.DuckDBPyConnection, previous: Path) -> bool:
    """Attach a generation's DuckDB file as `previous`; whether it has digests."""
    attach(connection, previous)
    return bool(connection.execute(_statement("has_previous")).fetchall())


def _with_digests(files: pa.Table, folders: Mapping[str, Path], threads: int) -> pa.Table:
    """Files by `source` and `path`, with the column `digest` of their pixel data as it is now."""
    paths = (
        folders[row["source"]] / os_path(row["path"]) if row["source"] in folders else None
        for row in files.select(["source", "path"]).to_pylist()
    )
    with ThreadPoolExecutor(threads) as pool:
        digests = pa.array(pool.map(_digest, paths), pa.string())
    return files.append_column("digest", digests)


def _digest(path: Path | None) -> str | None:
    from dicomhouse.dicom.pixels import pixel_digest

    if path is None:  # its source is not of this run
        return None
    try:
        with BufferedReader(open_file(path)[0]) as stream:
            return pixel_digest(stream)
    except OSError:
        return None


def _statement(name: str) -> str:
    return resource("sql", "pixels", f"{name}.sql").read_text()
