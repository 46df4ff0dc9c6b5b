"""One batch: open its files, read their elements, write them as one part. Runs in a worker."""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection
from concurrent.futures import Future
from pathlib import Path
from threading import Lock, Thread

from dicomhouse.dicom.elements import FileHeader, Headers
from dicomhouse.dicom.walk import Walker
from dicomhouse.errors import ExtractionFailed
from dicomhouse.lake.orders import Batch, FileFacts
from dicomhouse.lake.parts import Part, PartSummary
from dicomhouse.sources.opening import Facts, Stream, facts_of, openers

_MOST_ROWS = 600_000
_MOST_DISTINCT = 80_000
_MOST_BYTES = 48 << 20
"""Elements, distinct ones and their texts that are in memory at once: then they are written."""

_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ENXIO, errno.ENOTCONN,
                   errno.ESTALE, errno.EHOSTDOWN, errno.ETIMEDOUT, errno.EWOULDBLOCK})  # fmt: skip
"""What opening says of a file or a file system that is not there any more, or is held just now."""
_LOOK_SECONDS = 1
_MOST_IN_A_ROW = 3


def extract_batch(batch: Batch, lake: Path) -> PartSummary:
    """Read the files of a batch and write its part below `lake`.

    A file that cannot be read is a row with its reason. So is one that takes longer than
    `Bounds.max_seconds`: nothing ends a thread that waits for storage, so it is left to itself, and
    another one begins the batch anew without that file.

    Raises:
        OSError: the lake cannot be written.
        ExtractionFailed: files next to each other took too long.
    """
    hung: set[int] = set()
    while True:
        attempt = _Attempt(batch, lake, frozenset(hung))
        number = attempt.hung_at(batch.bounds.max_seconds)
        if number is None:
            return attempt.outcome.result()
        for path in lake.rglob(f".{batch.name}.*.tmp"):
            path.unlink()  # the thread that is left may have it open
        hung.add(number)
        if hung.issuperset(range(number + 1 - _MOST_IN_A_ROW, number + 1)):
            raise ExtractionFailed(
                f"{_MOST_IN_A_ROW} files in a row were not read within {batch.bounds.max_seconds} "
                "s each: does the storage of the sources hang? Build again when it answers; the "
                "published warehouse is unchanged, and what was read is kept."
            )


class _Attempt:
    """One go at a batch, in a thread of its own."""

    def __init__(self, batch: Batch, lake: Path, hung: Collection[int]) -> None:
        """Begin; `hung` are the numbers of files that are not to be read."""
        self.outcome: Future[PartSummary] = Future()
        self._reading: list[int] | None = None
        self._is_left = False
        self._lock = Lock()
        self._thread = Thread(
            target=self._carry_out, args=(batch, lake, hung), daemon=True, name="reader"
        )
        self._thread.start()

    def hung_at(self, seconds: int) -> int | None:
        """Wait for the outcome, or leave the thread to itself; the number of the file it hangs at.

        Time is counted in looks, so that a stopped process has none.
        """
        looks, seen = 0, None
        while True:
            self._thread.join(_LOOK_SECONDS)
            if not self._thread.is_alive():
                return None
            with self._lock:
                looks = looks + 1 if self._reading is seen is not None else 0
                seen = self._reading
                if seen is not None and looks * _LOOK_SECONDS >= seconds:
                    self._is_left = True
                    return seen[0]

    def begins(self, number: int) -> None:
        self._reading = [number]

    def goes_on(self) -> bool:
        """Once a file is read: whether anybody waits for the rest."""
        with self._lock:
            self._reading = None
            return not self._is_left

    def _carry_out(self, batch: Batch, lake: Path, hung: Collection[int]) -> None:
        try:
            self.outcome.set_result(_extract(batch, lake, hung, self))
        except BaseException as error:
            self.outcome.set_exception(error)


def _extract(batch: Batch, lake: Path, hung: Collection[int], attempt: _Attempt) -> PartSummary:
    part = Part(lake, batch.name, batch.source, batch.run_id, batch.file_id_key)
    facts: list[FileFacts] = []
    walker = Walker(Headers(), batch.bounds)
    files = list(batch.files())
    opening = openers([place for _, place in files])
    for number, ((path, place), opens) in enumerate(zip(files, opening, strict=True)):
        if number in hung:
            problem = f"file_unreadable: not read within {batch.bounds.max_seconds} s"
            facts.append(_read(path, place, opens, (problem, None, None), walker))
            continue
        attempt.begins(number)
        facts.append(_read(path, place, opens, batch.problems.get(path), walker))
        if not attempt.goes_on():
            return part.summary  # to nobody
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
    path: str,
    place: str,
    opens: Callable[[], Stream],
    known: tuple[str, int | None, int | None] | None,
    walker: Walker,
) -> FileFacts:
    """Read one file; what it was like then.

    A file that went or changed under our hands has neither size nor time, so that the next run
    looks at it again.

    Args:
        path: below the source.
        place: where it lies.
        opens: what opens it.
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
        opened = opens()
        with opened.raw as stream:
            facts = _facts(path, opened.facts)
            header = walker.read(stream)  # it takes a header at once
            now = _facts(path, opened.now())
    except OSError as error:
        reason = error.strerror or type(error).__name__
        walker.headers.add(FileHeader("unreadable", f"file_unreadable: {reason}"), (), ())
        if error.errno in _GONE:
            return moving
        try:
            return facts or _facts(path, facts_of(place))
        except OSError:
            return moving
    if now == facts:
        return facts
    header.status, header.reason = "unreadable", "file_changed: while it was read; build again"
    return moving


def _facts(path: str, facts: Facts) -> FileFacts:
    return FileFacts(path, facts.size_bytes, facts.modified_ns)
