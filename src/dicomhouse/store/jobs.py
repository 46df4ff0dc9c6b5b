"""What a worker does: one saved batch or rewrite, and its record once all of it is written.

What reads and writes is imported where it is used: a run that finds nothing to do needs neither.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dicomhouse.errors import StorageError
from dicomhouse.lake import layout
from dicomhouse.lake.orders import Batch
from dicomhouse.lake.records import PartRecord
from dicomhouse.store.generations import Generation, at_work


def carry_out(work: Path, extractor: str) -> PartRecord:
    """Make the part that a file of `work/extract/` or `work/rewrite/` of a generation asks for.

    Raises:
        StorageError: the lake cannot be written, or a part whose rows are needed is damaged.
    """
    generation = Generation(work.parents[2])
    with writing_lake(), at_work(generation):
        if work.parent.name == "rewrite":
            record = _rewrite(work, generation.lake, extractor)
        else:
            record = _extract(work, generation.lake, extractor)
        record.save(generation.parts)
    return record


@contextmanager
def writing_lake() -> Iterator[None]:
    """Tell what a disk refuses, and not of which file: a partition is named after a Modality.

    Raises:
        StorageError: the lake cannot be written.
    """
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        raise StorageError(
            f"cannot write the lake: {reason}. "
            "Free space or rights, then build again; the published warehouse is unchanged."
        ) from None


def _rewrite(work: Path, lake: Path, extractor: str) -> PartRecord:
    import pyarrow as pa

    from dicomhouse.lake.rewrite import rewrite

    try:
        return rewrite(work, lake, extractor)
    except pa.ArrowInvalid:
        raise StorageError(
            "a part of the lake that is to be written anew is damaged. "
            "Build again with --full-refresh; the published warehouse is unchanged."
        ) from None


def _extract(work: Path, lake: Path, extractor: str) -> PartRecord:
    from dicomhouse.lake.extract import extract_batch

    batch = Batch.load(work)
    summary = extract_batch(batch, lake)
    return PartRecord(
        name=summary.name,
        source=batch.source,
        extractor=extractor,
        rewritten=False,
        files=summary.files,
        images=summary.images,
        elements=summary.elements,
        n_bytes=summary.n_bytes,
        statuses=dict(summary.statuses),
        image_columns=sorted(summary.image_columns),
        paths=layout.written(lake, batch.source, summary.name),
    )
