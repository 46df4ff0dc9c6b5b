"""The steps of a run as plain functions. Who calls them, a flow or a loop, changes nothing."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import uuid4

from dicomhouse.errors import ExtractionFailed, StorageError, UsageError
from dicomhouse.lake import generations
from dicomhouse.lake.extract import Batch, Entry, extract_batch
from dicomhouse.lake.generations import Generation
from dicomhouse.lake.parts import FileFacts, PartSummary, write_columns_parts
from dicomhouse.lake.schema import IMAGE_LINEAGE
from dicomhouse.processes import light_pool
from dicomhouse.report import render
from dicomhouse.scan import Found, Source, scan, sources_of
from dicomhouse.settings import Settings
from dicomhouse.warehouse import database
from dicomhouse.warehouse.pixels import digest_repeated
from dicomhouse.warehouse.transform import DbtProcess, NodeResult

Say = Callable[[str], None]


@dataclass
class Run:
    """A run in progress: its settings, the generation it builds, and what it has done so far."""

    settings: Settings
    sources: Sequence[Source]
    generation: Generation
    say: Say
    dbt: DbtProcess
    run_id: str
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: dict[str, float] = field(default_factory=dict)
    summaries: list[PartSummary] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step under its name."""
        begun = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - begun, 3)


@contextmanager
def begin(settings: Settings, say: Say) -> Iterator[Run]:
    """Check the sources, take the warehouse, and clean up whatever way the run ends.

    Raises:
        UsageError, WarehouseBusy, StorageError: before anything was read.
    """
    os.umask(0o077)  # names and identifiers: readable by their owner alone
    sources = sources_of(list(settings.sources))
    with generations.building(settings.warehouse) as generation:
        run_id = f"{generation.number:06d}-{uuid4().hex[:8]}"
        # dbt's process starts early: its import overlaps the reading of the files.
        dbt = DbtProcess(settings.warehouse / "dbt")
        try:
            yield Run(settings, sources, generation, say, dbt, run_id)
        finally:
            dbt.close()


def check_settings(settings: Settings) -> None:
    """Raise what a run would before it reads anything.

    Raises:
        UsageError: a source is missing, or two bear one name.
    """
    sources_of(list(settings.sources))


def plan(run: Run) -> list[Path]:
    """Scan the sources and save their files as batches; the paths of these work lists.

    Raises:
        UsageError: no source holds a single file.
    """
    with run.step("scan"):
        run.generation.batches.mkdir()
        work: list[Path] = []
        for source in run.sources:
            files = 0
            for chunk in batches(scan(source, run.sources), run.settings.batch_files):
                files += len(chunk)
                batch = Batch(f"part-{run.run_id}-{len(work):05d}", source.name, run.run_id, chunk)
                work.append(batch.save(run.generation.batches))
            run.say(f"scan: {files:,} files in {source.name}")
    if not work:
        folders = ", ".join(str(source.folder) for source in run.sources)
        raise UsageError(f"no files below {folders}. Is it the right folder, and is it mounted?")
    return work


def batches(found: Iterable[Found], size: int) -> Iterator[list[Entry]]:
    """Files in batches of neighbouring folders.

    A batch ends with the folder that brings it to `size`; a folder that would bring it beyond
    twice that is split.
    """
    batch: list[Entry] = []
    for _, folder in groupby(found, key=lambda file: file.path.rpartition("/")[0]):
        for file in folder:
            facts = FileFacts(file.path, file.size_bytes, file.modified_ns)
            batch.append(Entry(facts, file.os_path, file.problem))
            if len(batch) >= 2 * size:
                yield batch
                batch = []
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch


def finish_lake(run: Run, summaries: Sequence[PartSummary]) -> None:
    """Give every table the empty part that holds all of its columns."""
    run.summaries.extend(summaries)
    seen: set[str] = set().union(*(summary.image_columns for summary in summaries))
    names = [source.name for source in run.sources]
    write_columns_parts(run.generation.lake, names, seen - set(IMAGE_LINEAGE.names))


def register(run: Run) -> None:
    """Make the generation's DuckDB file, with views over its lake, and compare repeated pixels."""
    with run.step("register"):
        database.register(run.generation.database, run.generation.lake, run.settings.tolerances)
    with run.step("pixels"):
        folders = {source.name: source.folder for source in run.sources}
        published = run.settings.warehouse.resolve() / "warehouse.duckdb"
        digest_repeated(run.generation.database, folders, published, run.settings.jobs)


def transform(run: Run) -> list[NodeResult]:
    """Run the dbt models and their tests.

    Raises:
        ModelsFailed: naming what failed; the published generation stays.
    """
    with run.step("models"):
        results = run.dbt.build(run.generation.folder)
        database.checkpoint(run.generation.database)
    run.say(f"models: {len(results)} dbt nodes in {run.seconds['models']:.1f} s")
    return results


def report(run: Run) -> None:
    """Write the generation's HTML report."""
    with run.step("report"):
        connection = database.connect(run.generation.database, run.generation.lake)
        with connection:
            page = render(connection, record(run))
        run.generation.report.mkdir()
        (run.generation.report / "index.html").write_text(page, encoding="utf-8")


def publish(run: Run) -> dict[str, Any]:
    """Make the generation current and return its record (`run.json`)."""
    told = record(run)
    generations.publish(run.settings.warehouse, run.generation, told)
    generations.prune(run.settings.warehouse, run.settings.keep_generations)
    return told


def record(run: Run) -> dict[str, Any]:
    """What is known of the run by now: nothing that was read from a file."""
    statuses: Counter[str] = Counter()
    for summary in run.summaries:
        statuses.update(summary.statuses)
    return {
        "run_id": run.run_id,
        "generation": run.generation.number,
        "dicomhouse": version("dicomhouse"),
        "started_at": run.started_at.isoformat(timespec="seconds"),
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": run.settings.as_json(),
        "sources": {source.name: str(source.folder) for source in run.sources},
        "files": dict(sorted(statuses.items())),
        "images": sum(summary.images for summary in run.summaries),
        "elements": sum(summary.elements for summary in run.summaries),
        "lake_bytes": sum(summary.n_bytes for summary in run.summaries),
        "seconds": run.seconds,
    }


def extracted(run: Run, done: int, of: int, files: int) -> None:
    run.say(f"extract: {done} of {of} batches, {files:,} files")


def build_direct(settings: Settings, say: Say) -> dict[str, Any]:
    """The whole run without an orchestrator; returns the record of the published generation."""
    with begin(settings, say) as run:
        work = plan(run)
        with run.step("extract"), light_pool(min(settings.jobs, len(work))) as pool:
            summaries = []
            for future in [pool.submit(extract_batch, path, run.generation.lake) for path in work]:
                summaries.append(checked(future.result))
                extracted(run, len(summaries), len(work), sum(s.files for s in summaries))
        finish_lake(run, summaries)
        register(run)
        transform(run)
        report(run)
        return publish(run)


def checked(result: Callable[[], PartSummary]) -> PartSummary:
    """The result of a batch, its failures told as errors of the run.

    Raises:
        StorageError: the lake cannot be written.
        ExtractionFailed: a worker ended, or met a bug.
    """
    try:
        return result()
    except OSError as error:
        raise StorageError(
            f"cannot write the lake: {error.strerror or type(error).__name__}. "
            "Free space or rights, then build again; the published warehouse is unchanged."
        ) from error
    except BrokenProcessPool as error:
        raise ExtractionFailed(
            "a worker process ended unexpectedly, perhaps for lack of memory. "
            "Build again with fewer --jobs."
        ) from error
