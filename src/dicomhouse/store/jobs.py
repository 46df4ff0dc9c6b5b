"""What a worker does: one saved batch or rewrite, and its record once all of it is written.

A list may be handed out more than once, where a cluster lost sight of a worker. One at a time
carries it out, and whoever comes later finds it gone and the record there.

What reads and writes is imported where it is used: a run that finds nothing to do needs neither.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dicomhouse.errors import StorageError, StorageStalled
from dicomhouse.filesystem import open_file
from dicomhouse.lake import layout
from dicomhouse.lake.orders import Batch
from dicomhouse.lake.records import PartRecord
from dicomhouse.store.generations import Generation, at_work

_MAY_PASS = frozenset({
    errno.EAGAIN, errno.EBUSY, errno.ECONNABORTED, errno.ECONNRESET, errno.EHOSTDOWN, errno.EIO,
    errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH, errno.ENOTCONN, errno.ESTALE,
    errno.ETIMEDOUT,
})  # fmt: skip
"""What a network file system answers while its server is away."""
_WAIT_SECONDS = 60
_LOOK_SECONDS = 0.1
_BEGUN = ".begun"


def carry_out(work: Path, extractor: str) -> PartRecord:
    """Make the part that a file of `work/extract/` or `work/rewrite/` of a generation asks for.

    Raises:
        StorageError: the lake cannot be written, or a part whose rows are needed is damaged.
    """
    generation = Generation(work.parents[2])
    with writing_lake(), at_work(generation), _alone(work) as is_left:
        if not is_left:
            return PartRecord.load(generation.parts / work.name)
        begun = work.with_suffix(_BEGUN)
        if begun.exists():
            _remove_rests(work.stem, generation)
        begun.touch()
        if work.parent.name == "rewrite":
            record = _rewrite(work, generation.lake, extractor)
        else:
            record = _extract(work, generation.lake, extractor)
        record.save(generation.parts)
        work.unlink()
    return record


@contextmanager
def _alone(work: Path) -> Iterator[bool]:
    """Held by the one worker that carries out a list; tells whether it is left to be done.

    Raises:
        StorageError: another one holds it for a minute.
    """
    try:
        lock, _ = open_file(work, os.O_RDWR)
    except FileNotFoundError:
        yield False
        return
    with lock:
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StorageError(
                        f"another worker has been at the same batch for {_WAIT_SECONDS} s. Does "
                        "it hang? End it, then build again; what was read is kept."
                    ) from None
                time.sleep(_LOOK_SECONDS)
        yield work.exists()


def _remove_rests(name: str, generation: Generation) -> None:
    """Remove what a worker that ended within a part has written of it."""
    (generation.parts / f"{name}.json").unlink(missing_ok=True)
    for pattern in (f"{name}.parquet", f".{name}.*.tmp"):
        for path in generation.lake.rglob(pattern):
            path.unlink()


@contextmanager
def writing_lake() -> Iterator[None]:
    """Tell what a disk refuses, and not of which file: a partition is named after a Modality.

    Raises:
        StorageError: the lake cannot be written; StorageStalled where that may pass.
    """
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        kind = StorageStalled if error.errno in _MAY_PASS else StorageError
        raise kind(
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
