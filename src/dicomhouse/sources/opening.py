"""Open the bytes of a file of a source, of whatever kind the source is: the other half of the seam.

A *place* is where a file lies, as one text: a file system's path, one that leads through an archive
(`/data/study.zip/CT/IM1`), or an object's address. It is `address` of the source and `path` of the
file, and what is found there is a `Stream`.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from io import FileIO, RawIOBase
from pathlib import PurePosixPath
from typing import Any, NamedTuple, Protocol

from dicomhouse.errors import UsageError
from dicomhouse.filesystem import open_file, os_path

IS_STORE = "://"
"""In the address of an object store, and in no absolute path."""


_AT_A_TIME = 64
"""Objects whose beginnings are asked for together."""


class Facts(NamedTuple):
    """What tells that a file changed: what the scan says of it, and opening it says again."""

    size_bytes: int
    modified_ns: int
    """Of an archive's member that of the archive; of an object see `objects.facts_of`."""


class Stream(Protocol):
    """The bytes of a file."""

    raw: Any
    """A `RawIOBase`, seekable, unbuffered; to be closed."""
    facts: Facts

    def now(self) -> Facts:
        """What it is like by now: that which was opened, not what took its place."""


class Bytes(RawIOBase):
    """A stream without a file of its own; what derives from it reads from its position on."""

    name = ""
    """Asked for by pydicom."""
    position = 0
    size: int | None = None
    """None where the end is not known."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        bases = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.size}
        if (base := bases[whence]) is None or base + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self.position = base + offset
        return self.position


class File:
    """A file of a file system."""

    def __init__(self, file: FileIO, status: os.stat_result) -> None:
        self.raw: Any = file
        self.facts = Facts(status.st_size, status.st_mtime_ns)

    def now(self) -> Facts:
        status = os.fstat(self.raw.fileno())
        return Facts(status.st_size, status.st_mtime_ns)


def place(address: str, path: str) -> str:
    """Where a file of a source lies.

    Args:
        address: the source's, as the table `sources` has it.
        path: the file's, as `files` has it.

    Raises:
        UsageError: the path leads out of the source, as no build writes it.
    """
    below = PurePosixPath(path := os_path(path))
    if IS_STORE not in address and (below.is_absolute() or ".." in below.parts):
        raise UsageError("a path of `files` leads out of its source: who made this warehouse?")
    return f"{os_path(address)}/{path}"


def is_place(place: str) -> bool:
    """Whether a file can be opened there."""
    try:
        open_place(place).raw.close()
    except OSError:
        return False
    return True


def openers(places: Sequence[str]) -> Iterator[Callable[[], Stream]]:
    """What opens each of some places, in their order.

    Where it takes a moment rather than work, many are opened ahead.
    """
    if not places or IS_STORE not in places[0]:
        yield from (partial(open_place, place) for place in places)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        ahead = deque(pool.submit(open_place, place) for place in places[: 2 * _AT_A_TIME])
        for place in places[2 * _AT_A_TIME :]:
            yield ahead.popleft().result
            ahead.append(pool.submit(open_place, place))
        while ahead:
            yield ahead.popleft().result


def facts_of(place: str) -> Facts:
    """What a file is like that may not be read.

    Raises:
        OSError: nothing tells that.
    """
    if IS_STORE in place:
        return open_place(place).facts
    try:
        status = os.stat(place)  # noqa: PTH116
    except NotADirectoryError:
        from dicomhouse.sources.archives import facts_of_member

        return facts_of_member(place)
    return Facts(status.st_size, status.st_mtime_ns)


def open_place(place: str) -> Stream:
    """Open what lies at a place.

    Raises:
        OSError: it cannot be opened; ENOENT or ENOTDIR where nothing is there.
    """
    if IS_STORE in place:
        from dicomhouse.sources.objects import open_object

        return open_object(place)
    try:
        return File(*open_file(place))
    except NotADirectoryError:  # one of the folders is a file
        from dicomhouse.sources.archives import open_member

        return open_member(place)
