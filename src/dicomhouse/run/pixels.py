"""The statistics of pixels, where a run is asked for them: only of files that are new or changed.

Each batch is written down as soon as it is measured, so that a run that is killed loses little: the
next one takes up what lies in its work folder.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
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
from dicomhouse.filesystem import os_path
from dicomhouse.processes import kill_workers, light_pool
from dicomhouse.run.context import Run
from dicomhouse.run.verify import digests_before
from dicomhouse.warehouse import pixel_statistics

if TYPE_CHECKING:
    from dicomhouse.pixels.statistics import Image

_BATCH = 64
"""Files of one call."""
_WRITTEN = 4_096
"""Files after which what was measured is written down."""
_SAY_SECONDS = 5

Facts = dict[str, Any]


def measure_pixels(run: Run) -> None:
    """Fill `run.pixel_stats` of a registered generation.

    Without `settings.pixels` only what the published generation knows of unchanged files stays.

    Raises:
        StorageError: the generation cannot be written.
    """
    generation, lake = run.generation, run.generation.lake
    previous = None if run.settings.full_refresh else digests_before(run)
    with run.clock.step("pixel statistics"):
        if not run.settings.pixels:
            if previous is not None:
                pixel_statistics.keep(generation.database, lake, previous, versions.PIXELS)
            return
        pixel_statistics.keep(generation.database, lake, previous, versions.PIXELS)
        folder = generation.measured_pixels
        folder.mkdir(parents=True, exist_ok=True)
        earlier = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
        pixel_statistics.add(generation.database, lake, earlier, versions.PIXELS)
        left = pixel_statistics.unmeasured(generation.database, lake)
        if not left:
            return
        run.say(f"pixels: {len(left):,} files to decode")
        pixel_statistics.add(
            generation.database, lake, list(_measured(run, left, folder)), versions.PIXELS
        )


def _measured(run: Run, left: Sequence[Facts], folder: Path) -> Iterator[pa.Table]:
    """Tables of rows, each of some thousand files, and written down."""
    rows: list[Facts] = []
    n_files = n_told = 0
    begun = told = time.monotonic()
    for batch, found in _rows(run, left):
        n_files += len(batch)
        rows += found
        now = time.monotonic()
        if now - told > _SAY_SECONDS:
            rate = n_files / (now - begun)
            rest = (len(left) - n_files) / rate
            run.say(
                f"pixels: {n_files:,} of {len(left):,} files, {rate:,.0f} a second, "
                f"about {rest:.0f} s left"
            )
            told = now
        if n_files - n_told >= _WRITTEN or n_files == len(left):
            n_told = n_files
            table = _table(rows)
            private = folder / f".{n_files:09}"
            pq.write_table(table, private)
            private.replace(folder / f"{n_files:09}.parquet")
            yield table
            rows = []


def _rows(run: Run, left: Sequence[Facts]) -> Iterator[tuple[Sequence[Facts], list[Facts]]]:
    """Batches of files and their rows. What ends a worker, or takes too long, is found out by
    trying the files of its batch one by one."""
    from dicomhouse.pixels.statistics import failure

    sources = run.depends_on["sources"]
    batches = [left[at : at + _BATCH] for at in range(0, len(left), _BATCH)]
    while batches:
        ended: Sequence[Facts] = ()
        for batch, found in _until_a_worker_ends(run.settings.jobs, batches, sources):
            if found is None:
                ended = batch
                break
            batches = [other for other in batches if other is not batch]
            yield batch, found
        if not ended:
            return
        batches = [other for other in batches if other is not ended]
        if len(ended) > 1:
            batches = [*([facts] for facts in ended), *batches]
        else:
            row = failure(PixelsFailed("the decoder ended its process, or took too long."))
            yield ended, [_named(ended[0], row)]


def _until_a_worker_ends(
    jobs: int, batches: Sequence[Sequence[Facts]], sources: dict[str, str]
) -> Iterator[tuple[Sequence[Facts], list[Facts] | None]]:
    """Batches with their rows, in order; at last one with None where its worker ended."""
    from dicomhouse.pixels.statistics import measure_all, seconds_for

    with light_pool(jobs) as pool:
        waiting = iter(batches)
        running: list[tuple[Sequence[Facts], Future[Any]]] = []

        def begin(n: int) -> None:
            for batch in islice(waiting, n):
                running.append((batch, _submit(pool, measure_all, batch, sources)))

        begin(3 * jobs)
        while running:
            batch, future = running.pop(0)
            most = sum(seconds_for(facts["frames"] or 1) for facts in batch)
            try:
                found = future.result(timeout=most)
            except (BrokenProcessPool, Late):
                kill_workers(pool)
                yield batch, None
                return
            yield batch, [_named(batch[number], row) for number, row in found]
            begin(1)


def _submit(
    pool: ProcessPoolExecutor, measure_all: Any, batch: Sequence[Facts], sources: dict[str, str]
) -> Future[Any]:
    from dicomhouse.pixels.statistics import image_of

    images: list[Image] = [
        image_of(facts, str(Path(os_path(sources[facts["source"]]), os_path(facts["path"]))))
        for facts in batch
    ]
    return pool.submit(measure_all, images)


def _named(facts: Facts, row: Facts) -> Facts:
    """A row with which file it is of, as it was when its header was read."""
    return {name: facts[name] for name in ("file_id", "size_bytes", "modified_at")} | row


def _table(rows: Sequence[Facts]) -> pa.Table:
    names = {name: None for row in rows for name in row}
    columns = {name: [row.get(name) for row in rows] for name in names}
    return pa.table(columns).append_column("version", pa.array([versions.PIXELS] * len(rows)))
