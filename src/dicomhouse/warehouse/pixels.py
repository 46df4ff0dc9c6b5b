"""Digests of pixel data where only it can tell two files of one instance apart.

Nothing else of a run reads pixels: the headers of nearly all images are told apart without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pyarrow as pa

from dicomhouse.resources import resource
from dicomhouse.warehouse.database import writing


def digest_repeated(
    database: Path, folders: Mapping[str, Path], previous: Path | None, threads: int
) -> int:
    """Fill `run.pixel_digests` of a registered generation; returns how many files were read.

    A file whose size and modification time stayed keeps its digest. One that cannot be read has
    none: it is compared by its elements alone.

    Args:
        database: the generation's DuckDB file.
        folders: of the sources, by name.
        previous: the DuckDB file of a generation whose digests count, where there is one.
        threads: how many files to read at a time.
    """
    with writing(database), duckdb.connect(str(database)) as connection:
        if previous is not None:
            connection.execute(
                f"attach '{str(previous).replace(chr(39), 2 * chr(39))}' as previous (read_only)"
            )
            if connection.execute(_statement("has_previous")).fetchone():
                connection.execute(_statement("kept"))
        files = connection.sql(_statement("repeated")).to_arrow_table()
        if files.num_rows:
            paths = (
                folders[row["source"]] / row["path"] if row["source"] in folders else None
                for row in files.select(["source", "path"]).to_pylist()
            )
            with ThreadPoolExecutor(threads) as pool:
                digests = pa.array(pool.map(_digest, paths), pa.string())
            connection.register("digested", files.append_column("digest", digests))
            connection.execute(_statement("digested"))
    return files.num_rows


def _digest(path: Path | None) -> str | None:
    from dicomhouse.dicom.pixels import pixel_digest

    if path is None:  # its source is not of this run
        return None
    try:
        with path.open("rb") as stream:
            return pixel_digest(stream)
    except OSError:
        return None


def _statement(name: str) -> str:
    return resource("sql", "pixels", f"{name}.sql").read_text()
