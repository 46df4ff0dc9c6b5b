"""The work lists carried out by workers, and the lake that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from dicomhouse.errors import ExtractionFailed, StorageError
from dicomhouse.lake.records import PartRecord, remove
from dicomhouse.run.context import Run
from dicomhouse.run.plan import Plan, Work, clean_up
from dicomhouse.sources.scan import still_there
from dicomhouse.store.jobs import writing_lake

_NEEDED_NEXT = ("dicomhouse.lake.parts", "dicomhouse.warehouse.database",
                "dicomhouse.warehouse.models", "dicomhouse.warehouse.pixels",
                "dicomhouse.report")  # fmt: skip
"""What a run imports once its files are read."""
_STALLED_SECONDS = 3_600
"""In which some batch ends, unless the storage hangs: one has 10,000 files at most."""
Begin = Callable[[Executor, Path, str, str], Any]
"""Hands a list to the workers, with the extractor and a title; gives its future."""
End = Callable[[Any], PartRecord]
"""Gives the record of a future that is done."""


@dataclass(frozen=True)
class Lake:
    """The lake of the new generation, and why it is another than the published one."""

    plan: Plan
    parts: Sequence[PartRecord]


def make_parts(run: Run, work: Work, begin: Begin, end: End) -> list[PartRecord]:
    """Have the work lists carried out, each as soon as it is known.

    Raises:
        ExtractionFailed: a worker ended, or none got on for an hour.
    """
    made: list[PartRecord] = []
    done: SimpleQueue[Any] = SimpleQueue()

    def take() -> None:
        try:
            made.append(end(done.get(timeout=_STALLED_SECONDS)))
        except Empty:
            raise ExtractionFailed(
                f"no batch of files was read within {_STALLED_SECONDS / 60:.0f} minutes. Does the "
                "storage hang? Build again when it answers; what was read is kept."
            ) from None
        read = sum(part.files for part in made if not part.rewritten)
        run.clock.count("extract", read, "files", work.n_read if work.plan else None)

    def title(path: Path, number: int) -> str:
        label = run.labels.get(work.source_of[path.stem], "another source")
        of = f" of {work.n_lists}" if work.plan else ""
        return f"{path.parent.name} {label} {number}{of}"

    def carry_out_all(pool: Executor, paths: Iterable[Path]) -> None:
        n_begun = len(made)
        for path in paths:
            n_begun += 1
            begun = begin(pool, path, run.extractor, title(path, n_begun))
            begun.add_done_callback(done.put)
            while not done.empty():
                take()
        for name in _NEEDED_NEXT:  # the workers are busy meanwhile
            import_module(name)
        while len(made) < n_begun:
            take()

    jobs = run.settings.jobs
    n_workers = min(jobs, max(work.n_lists, 1)) if work.plan else jobs
    with run.clock.step("extract"), run.workers(n_workers, work.n_read) as pool:
        carry_out_all(pool, work.first)
        carry_out_all(pool, work.then)
    read = sum(part.files for part in made if not part.rewritten)
    if read:
        run.say(f"extract: {read:,} files in {run.clock.seconds['extract']:.1f} s")
    return made


def finish_lake(run: Run, plan: Plan, made: Sequence[PartRecord]) -> Lake:
    """Take out the parts that were merged, and give every table the part with all its columns.

    Raises:
        SourceLost: a source was unmounted while it was read.
        StorageError: the lake cannot be written, or the record of a part is damaged.
    """
    from dicomhouse.lake.parts import write_columns_parts
    from dicomhouse.lake.schema import IMAGE_LINEAGE
    from dicomhouse.standard.dictionary import attribute_of_keyword

    for source in run.sources:
        still_there(source, plan.places[source.name])
    parts = [*plan.kept, *(part for part in made if part.name not in plan.merged)]
    seen = {column for part in parts for column in part.image_columns}
    keywords = seen - set(IMAGE_LINEAGE.names)
    if not all(map(attribute_of_keyword, keywords)):
        raise StorageError(
            "the record of a part names a column that is not an attribute's. "
            "Build again with --full-refresh; the published warehouse is unchanged."
        )
    with run.clock.step("lay out"), writing_lake():
        for part in made:
            if part.name in plan.merged:
                remove(part, run.generation.folder)
        write_columns_parts(run.generation.lake, list(run.depends_on["sources"]), keywords)
    clean_up(run)
    return Lake(plan, parts)
