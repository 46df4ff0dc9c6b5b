"""The work lists carried out by workers, and the lake that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from dicomhouse.errors import StorageError
from dicomhouse.lake.records import PartRecord, remove
from dicomhouse.run.context import Run
from dicomhouse.run.plan import Plan, Work, clean_up
from dicomhouse.sources.scan import still_there
from dicomhouse.store.jobs import writing_lake

_NEEDED_NEXT = ("dicomhouse.lake.parts", "dicomhouse.warehouse.database",
                "dicomhouse.warehouse.models", "dicomhouse.warehouse.pixels",
                "dicomhouse.report")  # fmt: skip
"""What a run imports once its files are read."""
Begin = Callable[[Executor, Path, str], Any]
"""Hands a list to the workers, with the extractor; gives its future."""
End = Callable[[Any], PartRecord]
"""Gives the record of a future that is done."""


@dataclass(frozen=True)
class Lake:
    """The lake of the new generation, and why it is another than the published one."""

    plan: Plan
    parts: Sequence[PartRecord]


def make_parts(run: Run, work: Work, begin: Begin, end: End) -> list[PartRecord]:
    """Have the work lists carried out, each as soon as it is known."""
    made: list[PartRecord] = []
    done: SimpleQueue[Any] = SimpleQueue()

    def take() -> None:
        made.append(end(done.get()))
        read = sum(part.files for part in made if not part.rewritten)
        told = f"{len(made)} of {work.n_lists}" if work.plan else f"{len(made)}"
        run.say(f"extract: {told} batches, {read:,} files")

    def carry_out_all(pool: Executor, paths: Iterable[Path]) -> None:
        n_begun = len(made)
        for path in paths:
            begin(pool, path, run.extractor).add_done_callback(done.put)
            n_begun += 1
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
    with writing_lake():
        for part in made:
            if part.name in plan.merged:
                remove(part, run.generation.folder)
        write_columns_parts(run.generation.lake, list(run.depends_on["sources"]), keywords)
    clean_up(run)
    return Lake(plan, parts)
