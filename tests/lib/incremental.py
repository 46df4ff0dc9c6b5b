"""Runs that end before the models, in this process: many of them in a second."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from dicomhouse.run import plan
from dicomhouse.run.build import Plainly, make_lake
from dicomhouse.run.context import begin
from dicomhouse.run.plan import prepare, unchanged
from dicomhouse.run.publish import record
from dicomhouse.settings import Settings
from dicomhouse.sources.scan import Scan
from dicomhouse.store.generations import current, prune, publish


class Here(Executor):
    """Carries out each job at once."""

    def submit(self, function: Any, /, *words: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*words, **named))
        except BaseException as error:
            future.set_exception(error)
        return future


@contextmanager
def here(jobs: int, n_read: int) -> Iterator[Executor]:
    yield Here()


@contextmanager
def without_processes() -> Iterator[None]:
    """Let runs start none: neither workers nor one that looks ahead."""

    def in_time(*words: Any, apart: bool) -> Scan:
        return Scan(*words)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "Scan", in_time)
        yield


@cache
def _empty_database() -> bytes:
    """A DuckDB file without a table, in the place of the one that the models would make."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "empty.duckdb")
        duckdb.connect(str(path)).close()
        return path.read_bytes()


def build_lake(settings: Settings, told: list[str] | None = None) -> dict[str, Any]:
    """One run without its models; the record of the generation that stands."""
    say = (told if told is not None else []).append
    with without_processes(), begin(settings, say, None if settings.dask else here) as run:
        work = prepare(run)
        if work is None:
            return unchanged(run)
        made = record(run, make_lake(run, work, Plainly()))
        run.generation.database.write_bytes(_empty_database())
        publish(settings.warehouse, run.generation, made)
        prune(settings.warehouse, settings.keep_generations)
        return made


def lake_rows(warehouse: Path) -> dict[str, list[str]]:
    """Every row of the three tables but for its run, and the columns of `images`, in order."""
    generation = current(warehouse)
    assert generation is not None
    found: dict[str, list[str]] = {}
    for table in ("files", "elements", "images"):
        rows = found[table] = []
        for path in (generation.lake / table).rglob("*.parquet"):
            read = pq.ParquetFile(path).read()
            if path.name == "0-columns.parquet":
                found[f"{table} columns"] = read.column_names
            place = str(path.parent.relative_to(generation.lake))
            for row in read.to_pylist():
                told = sorted((k, v) for k, v in row.items() if v is not None and k != "run_id")
                rows.append(repr((place, told)))
        rows.sort()
    return found
