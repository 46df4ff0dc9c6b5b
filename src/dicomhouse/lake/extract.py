"""One batch: open its files, read their elements, write them as one part. Runs in a worker."""

from __future__ import annotations

import errno
import os
from io import FileIO
from pathlib import Path
from stat import S_ISREG

from dicomhouse.dicom.elements import FileHeader, Headers
from dicomhouse.dicom.walk import Walker
from dicomhouse.lake.orders import Batch, Entry, FileFacts
from dicomhouse.lake.parts import Part, PartSummary

_MOST_ROWS = 600_000
_MOST_DISTINCT = 80_000
_MOST_BYTES = 48 << 20
"""Elements, distinct ones and their texts that are in memory at once: then they are written."""

_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ENXIO, errno.ENOTCONN,
                   errno.ESTALE, errno.EHOSTDOWN, errno.ETIMEDOUT})  # fmt: skip
"""What opening says of a file or a file system that is not there any more."""


def extract_batch(batch: Batch, lake: Path) -> PartSummary:
    """Read the files of a batch and write its part below `lake`.

    A file that cannot be read is a row with its reason; the batch fails only where the lake
    cannot be written (OSError).
    """
    part = Part(lake, batch.name, batch.source, batch.run_id)
    facts: list[FileFacts] = []
    walker = Walker(Headers(), batch.bounds)
    for entry in batch.entries:
        facts.append(_read(entry, walker))
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


def _read(entry: Entry, walker: Walker) -> FileFacts:
    """Read one file; what it was like then.

    A file that went or changed under our hands has neither size nor time, so that the next run
    looks at it again.
    """
    moving = FileFacts(entry.facts.path, None, None)
    if entry.problem is not None:
        walker.headers.add(FileHeader("unreadable", entry.problem), (), ())
        return entry.facts
    try:
        facts = _facts(entry)
        with FileIO(entry.os_path) as stream:  # the walker reads a header at once
            header = walker.read(stream)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        walker.headers.add(FileHeader("unreadable", f"file_unreadable: {reason}"), (), ())
        return moving if error.errno in _GONE else entry.facts
    try:
        if _facts(entry) == facts:
            return facts
    except OSError:  # it went after it was read
        pass
    header.status, header.reason = "unreadable", "file_changed: while it was read; build again"
    return moving


def _facts(entry: Entry) -> FileFacts:
    status = os.stat(entry.os_path)  # noqa: PTH116
    if not S_ISREG(status.st_mode):  # to open a pipe would wait for whoever writes to it
        raise OSError(errno.ENOENT, "no file any more")
    return FileFacts(entry.facts.path, status.st_size, status.st_mtime_ns)
