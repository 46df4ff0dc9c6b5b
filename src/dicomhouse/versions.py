"""What a warehouse depends on beside its files, as short digests: who changes one of these need not
remember to raise a number."""

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

_READING = ("dicom", "standard", "lake")
_MODELS = ("dbt-core", "dbt-duckdb", "duckdb")


@cache
def extractor(bounds: str) -> str:
    """Of all that decides what is read from a file and how it stands in the lake."""
    package = Path(__file__).parent
    code = [path for room in _READING for path in (package / room).rglob("*.py")]
    return _digest(package, code, dictionary(), bounds)


def dictionary() -> str:
    """pydicom's release: its data dictionary is the lake's."""
    return version("pydicom")


def dbt_project() -> Path:
    """The project to build with: the shipped one, or that of `DICOMHOUSE_DBT`."""
    return Path(os.environ.get("DICOMHOUSE_DBT") or resource("dbt"))


def models() -> str:
    """Of all that decides what is made from the lake: dbt's project, SQL, the report, libraries."""
    project = dbt_project()
    names = ("macros", "models", "seeds", "tests", "dbt_project.yml", "profiles.yml")
    own = [path for name in names for path in _files(project / name)]
    shipped = [
        path
        for place in (("sql",), ("standard", "tables"), ("report",))
        for path in _files(resource(*place))
        if path.suffix in (".sql", ".parquet", ".j2", ".py")
    ]
    libraries = [version(name) for name in _MODELS]
    return _digest(project, own, *libraries, _digest(resource("sql").parent, shipped))


def _files(path: Path) -> Iterable[Path]:
    return [path] if path.is_file() else (p for p in path.rglob("*") if p.is_file())


def _digest(base: Path, paths: Iterable[Path], *more: str) -> str:
    digest = blake2b("\0".join(more).encode(), digest_size=6)
    for path in sorted(paths):
        name = path.relative_to(base) if path.is_relative_to(base) else path.name
        digest.update(f"\0{name}\0".encode() + path.read_bytes())
    return digest.hexdigest()
