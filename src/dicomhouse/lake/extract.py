"""One batch: open its files, read their elements, write them as one part. Runs in a worker."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from dicomhouse.dicom.elements import FileHeader, Headers
from dicomhouse.dicom.walk import Walker
from dicomhouse.filesystem import open_file
from dicomhouse.lake.orders import Batch, FileFacts
from dicomhouse.lake.parts import Part, PartSummary

_MOST_ROWS = 600_000
_MOST_DISTINCT = 80_000
_MOST_BYTES = 48 << 20
"""Elements, distinct ones and their texts that are in memory at once: then they are written."""

_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ENXIO, errno.ENOTCONN,
                   errno.ESTALE, errno.EHOSTDOWN, errno.ETIMEDOUT, errno.EWOULDBLOCK})  # fmt: skip
"""What opening says of a file or a file system that is not there any more, or is held just now."""


def extract_batch(batch: Batch, lake: Path) -> PartSummary:
    """Read the files of a batch and write its part below `lake`.

    A file that cannot be read is a row with its reason; the batch fails only where the lake
    cannot be written (OSError).
    """
    part = Part(lake, batch.name, batch.source, batch.run_id, batch.file_id_key)
    facts: list[FileFacts] = []
    walker = Walker(Headers(), batch.bounds)
    for path, os_path in batch.files():
        facts.append(_read(path, os_path, batch.problems.get(path), walker))
        headers = walker.headers
        if (
            headers.n_occurrences >= _MOST_ROWS
            or len(headers.elements) >= _MOST_DISTINCT
            or headers.n_characters + walker.n_kept >= _MOST_BYTES
        ):
            part.add(facts, headers)
            facts, walker = [], Walker(Headers(), batch.bounds)
    if facts:
        part.add(facts, walker.headers)
    return part.close()


def _read(
    path: str, os_path: str, known: tuple[str, int | None, int | None] | None, walker: Walker
) -> FileFacts:
    """Read one file; what it was like then.

    A file that went or changed under our hands has neither size nor time, so that the next run
    looks at it again.

    Args:
        path: below the source.
        os_path: the file system's.
        known: why it is not to be read, its size and time, where the scan says so.
        walker: what reads it.
    """
    if known is not None:
        problem, size, modified_ns = known
        walker.headers.add(FileHeader("unreadable", problem), (), ())
        return FileFacts(path, size, modified_ns)
    moving = FileFacts(path, None, None)
    facts = None
    try:
        stream, status = open_file(os_path)
        with stream:
            facts = _facts(path, status)
            header = walker.read(stream)  # it takes a header at once
            now = _facts(path, os.fstat(stream.fileno()))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        walker.headers.add(FileHeader("unreadable", f"file_unreadable: {reason}"), (), ())
        if error.errno in _GONE:
            return moving
        try:
            return facts or _facts(path, os.stat(os_path))  # noqa: PTH116
        except OSError:
            return moving
    if now == facts:
        return facts
    header.status, header.reason = "unreadable", "file_changed: while it was read; build again"
    return moving


def _facts(path: str, status: os.stat_result) -> FileFacts:
    return FileFacts(path, status.st_size, status.st_mtime_ns)
