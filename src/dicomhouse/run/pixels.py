"""The statistics of pixels, where a run is asked for them: only of files that are new or changed.

Each batch is written down as soon as it is measured, so that a run that is killed loses little: the
next one takes up what lies in its work folder.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures import TimeoutError as Late
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from dicomhouse import versions
from dicomhouse.errors import PixelsFailed
from dicomhouse.filesystem import replacing
from dicomhouse.pools import kill_workers, light_pool
from dicomhouse.run.context import Run
from dicomhouse.sources.opening import place
from dicomhouse.warehouse import pixel_statistics

if TYPE_CHECKING:
    from dicomhouse.pixels.statistics import Image

_BATCH = 64
"""Files of one call."""
_WRITTEN = 4_096
"""Files after which what was measured is written down."""

Facts = dict[str, Any]


def measure_pixels(run: Run) -> None:
    """Measure what `run.pixel_stats` of a registered generation lacks, where a run is asked to.

    Raises:
        StorageError: the generation cannot be written.
    """
    database, lake, folder = (
        run.generation.database, run.generation.lake, run.generation.measured_pixels
    )  # fmt: skip
    with run.clock.step("pixel statistics"):
        folder.mkdir(parents=True, exist_ok=True)
        earlier = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
        pixel_statistics.add(database, lake, earlier)
        left = pixel_statistics.unmeasured(database, lake)
        if left:
            run.say(f"pixels: {len(left):,} files to decode")
            pixel_statistics.add(database, lake, list(_measured(run, left, folder)))


def _measured(run: Run, left: Sequence[Facts], folder: Path) -> Iterator[pa.Table]:
    """Tables of rows, each of some thousand files, and written down."""
    rows: list[Facts] = []
    n_files = n_told = 0
    for batch, found in _rows(run, left):
        n_files += len(batch)
        rows += found
        run.clock.count("pixel statistics", n_files, "files", len(left))
        if n_files - n_told >= _WRITTEN or n_files == len(left):
            n_told = n_files
            table = _table(rows)
            with replacing(folder / f"{n_files:09}.parquet") as private:
                pq.write_table(table, private)
            yield table
            rows = []


def _rows(run: Run, left: Sequence[Facts]) -> Iterator[tuple[Sequence[Facts], list[Facts]]]:
    """Batches of files and their rows.

    Where a worker ends, or takes too long, whose file it was is not known: those of the batch
    that is waited for are tried again, one after the other and nothing beside.
    """
    jobs, sources = run.settings.jobs, run.depends_on["sources"]
    batches = deque(left[at : at + _BATCH] for at in range(0, len(left), _BATCH))
    while batches:
        for found in _until_a_worker_ends(jobs, 3 * jobs, list(batches), sources):
            yield batches.popleft(), found
        if batches:
            yield from _one_by_one(batches.popleft(), sources)


def _one_by_one(
    files: Sequence[Facts], sources: Mapping[str, str]
) -> Iterator[tuple[Sequence[Facts], list[Facts]]]:
    from dicomhouse.pixels.statistics import failure

    alone = deque([facts] for facts in files)
    while alone:
        for found in _until_a_worker_ends(1, 1, list(alone), sources):
            yield alone.popleft(), found
        if alone:
            row = failure(PixelsFailed("the decoder ended its process, or took too long."))
            yield alone[0], [_named(alone.popleft()[0], row)]


def _until_a_worker_ends(
    jobs: int, ahead: int, batches: Sequence[Sequence[Facts]], sources: Mapping[str, str]
) -> Iterator[list[Facts]]:
    """The rows of each batch, in their order, all of them unless a worker ends.

    Args:
        jobs: worker processes.
        ahead: batches that are handed to them at a time.
        batches: files to measure.
        sources: folders by name.
    """
    from dicomhouse.pixels.statistics import measure_all, seconds_for

    with light_pool(jobs) as pool:
        waiting = iter(batches)
        begun = deque(
            (batch, _submit(pool, measure_all, batch, sources)) for batch in islice(waiting, ahead)
        )
        while begun:
            batch, future = begun.popleft()
            try:
                found = future.result(
                    timeout=sum(seconds_for(facts["frames"] or 1) for facts in batch)
                )
            except (BrokenProcessPool, Late):
                kill_workers(pool)
                return
            yield [_named(batch[number], row) for number, row in found]
            begun.extend((b, _submit(pool, measure_all, b, sources)) for b in islice(waiting, 1))


def _submit(
    pool: ProcessPoolExecutor, measure_all: Any, batch: Sequence[Facts], sources: Mapping[str, str]
) -> Future[Any]:
    from dicomhouse.pixels.statistics import image_of

    images: list[Image] = [
        image_of(facts, place(sources[facts["source"]], facts["path"])) for facts in batch
    ]
    return pool.submit(measure_all, images)


def _named(facts: Facts, row: Facts) -> Facts:
    """A row with which file it is of, as it was when its header was read."""
    return {name: facts[name] for name in ("file_id", "size_bytes", "modified_at")} | row


def _table(rows: Sequence[Facts]) -> pa.Table:
    names = {name: None for row in rows for name in row}
    columns = {name: [row.get(name) for row in rows] for name in names}
    return pa.table(columns).append_column("version", pa.array([versions.PIXELS] * len(rows)))
