"""What a warehouse depends on beside its files, as short digests."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

from dicomhouse.resources import resource

FORMAT = 1
"""Of a generation's folder. A program refuses a warehouse whose number is above its own."""

READER = 4
"""Of what is read from a file and how it stands in the lake. Warehouses of another one read every
file again, so that it rises when that changes and not with each edit: `tests/unit/test_reading.py`
fails where what is read changes and this number does not."""

PIXELS = 1
"""Of what is measured of pixels, and how: statistics of another one are measured anew."""

_MODELS = ("dbt-core", "dbt-duckdb", "duckdb")
_OF_DBT = (".sql", ".yml", ".yaml", ".csv", ".md", ".py")
_NOT_OF_DBT = frozenset({"target", "logs", "__pycache__"})
"""Folders that dbt itself writes to."""
_COMPILING = ("compile.py", "models.py", "plan.py")


@cache
def extractor(bounds: str, file_id_key: str) -> str:
    """Of all that decides what is read from a file and how it stands in the lake."""
    return _digest((), str(READER), dictionary(), bounds, file_id_key)


def dictionary() -> str:
    """pydicom's release: its data dictionary is the lake's."""
    return version("pydicom")


def dbt_project() -> Path:
    """The project to build with: the shipped one, or that of `DICOMHOUSE_DBT`."""
    return Path(os.environ.get("DICOMHOUSE_DBT") or resource("dbt"))


def plan() -> str:
    """Of all that decides what dbt compiles: its project, the standard, our own part, libraries."""
    project = dbt_project()
    files = [
        (name, path)
        for name, path in _files(project, *_OF_DBT)
        if not _NOT_OF_DBT.intersection(Path(name).parts)
    ]
    for place in (resource("sql", "models"), resource("standard", "tables")):
        files += _files(place, ".sql", ".parquet")
    files += [(name, resource("sql", name)) for name in ("standard.sql", "comments.sql")]
    files += [(name, resource("warehouse", name)) for name in _COMPILING]
    return _digest(files, *(version(name) for name in _MODELS))


def models() -> str:
    """Of all that decides what is made from the lake: the plan, SQL, the report."""
    kinds = (".sql", ".j2", ".py", ".js", ".css")
    files = [file for room in ("sql", "report") for file in _files(resource(room), *kinds)]
    return _digest(files, plan(), str(PIXELS))


def _files(folder: Path, *endings: str) -> list[tuple[str, Path]]:
    """The files below a folder, each with its path in it."""
    found = (path for path in folder.rglob("*") if path.suffix in endings)
    return [(str(path.relative_to(folder)), path) for path in found]


def _digest(files: Iterable[tuple[str, Path]], *more: str) -> str:
    digest = blake2b("\0".join(more).encode(), digest_size=6)
    for name, path in sorted(files):
        digest.update(f"\0{name}\0".encode() + path.read_bytes())
    return digest.hexdigest()
