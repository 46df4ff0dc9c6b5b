"""What a file system says of a file, as the tables keep it: names as text, times they can hold."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BufferedWriter, FileIO
from itertools import compress, pairwise
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

_FIRST_MICROSECOND = -62_135_596_800_000_000
_LAST_MICROSECOND = 253_402_300_799_999_999
"""Of the years 1 to 9999, since 1970."""

_ESCAPE = re.compile(rb"\\(\\|x[0-9a-f]{2})")


UNKNOWN = "-"
"""Stands for a size or a time that a file system did not say, or that no table holds."""


class Files(NamedTuple):
    """Files of one folder, in columns: each is one text, so that a million of them cost little."""

    folder: str
    """Below the source, with slashes, as `printable` gives it; empty for the source itself."""
    names: str
    """As `printable` gives them, in their order; joined by slashes, which no name can hold."""
    sizes: str
    """Bytes, joined by blanks."""
    times: str
    """When they were modified, in microseconds since 1970; joined by blanks."""
    problems: Mapping[str, str]
    """By name, why a file could not even be looked at, or is none."""

    @property
    def n_files(self) -> int:
        return self.names.count("/") + 1

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Name, size and time of each."""
        return zip(*self._columns(), strict=True)

    def only(self, chosen: Sequence[bool]) -> Files:
        """Those of its files that are chosen: a truth value each."""
        return self._with(*(list(compress(column, chosen)) for column in self._columns()))

    def without(self, others: Files | None) -> Files | None:
        """Those of its files that are not among some of the same folder."""
        if others is None:
            return self
        if others.n_files == self.n_files:
            return None
        names = frozenset(others.names.split("/"))
        return self.only([name not in names for name in self.names.split("/")])

    def changed_within(self, seconds: int, now: float) -> bool:
        """Whether one of them changed less than so many seconds before now, or after."""
        if not seconds:
            return False
        return any(
            time != UNKNOWN and abs(now - int(time) / 1e6) < seconds
            for time in self.times.split(" ")
        )

    def n_same(self, others: Files) -> int:
        """How many of them are as others of the same folder."""
        return len(set(self.rows()).intersection(others.rows()))

    def pieces(self, ends: Sequence[int]) -> Iterator[Files]:
        """Its files in pieces; `ends` are the numbers of files up to the end of each."""
        names, sizes, times = self._columns()
        for start, end in pairwise((0, *ends)):
            yield self._with(names[start:end], sizes[start:end], times[start:end])

    def _columns(self) -> tuple[list[str], list[str], list[str]]:
        return self.names.split("/"), self.sizes.split(" "), self.times.split(" ")

    def _with(self, names: list[str], sizes: list[str], times: list[str]) -> Files:
        problems = {name: self.problems[name] for name in self.problems.keys() & set(names)}
        return Files(self.folder, "/".join(names), " ".join(sizes), " ".join(times), problems)


def below(folder: str, name: str) -> str:
    """The path of what is in a folder; that of a source itself is empty."""
    return f"{folder}/{name}" if folder else name


def is_there(path: Path) -> bool:
    """Whether a path exists; one that no file system could hold does not."""
    try:
        return path.exists()
    except OSError:
        return False


def printable(name: str) -> str:
    """A file system's name as text that can be stored: undecodable bytes become `\\xNN`.

    A backslash of the name itself is doubled, so that no two names become one.
    """
    if name.isascii() and "\\" not in name:
        return name
    return os.fsencode(name.replace("\\", "\\\\")).decode("utf-8", "backslashreplace")


def os_path(text: str) -> str:
    """The name, or path, that `printable` gave this text for."""
    if "\\" not in text:
        return text
    return os.fsdecode(
        _ESCAPE.sub(
            lambda escape: b"\\" if escape[1] == b"\\" else bytes([int(escape[1][1:], 16)]),
            os.fsencode(text),
        )
    )


def microseconds(nanoseconds: int | None) -> int | None:
    """A modification time in microseconds since 1970; None beyond the years 1 to 9999."""
    if nanoseconds is None:
        return None
    time = nanoseconds // 1000
    return time if _FIRST_MICROSECOND <= time <= _LAST_MICROSECOND else None


def open_file(path: str | Path, flags: int = 0) -> tuple[FileIO, os.stat_result]:
    """Open a file for reading, unbuffered, and tell what the file system says of just that file.

    Flags of the system's say otherwise: O_NOFOLLOW where a link is none, O_RDWR to write too,
    O_CREAT to make it, for its owner alone, where it is not there.

    Whatever was put in its place meanwhile, this does not wait: a pipe is opened without waiting
    for whoever writes to it, and found out.

    Raises:
        OSError: it cannot be opened; ENOENT also where something else than a file stands there.
    """
    flags |= os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    status = os.fstat(descriptor)
    if S_ISREG(status.st_mode):
        return FileIO(descriptor, "r+" if flags & os.O_RDWR else "r"), status
    os.close(descriptor)
    raise OSError(errno.ENOENT, "no file any more")


def replace_file(path: Path, content: bytes, *, is_shared: bool = False) -> None:
    """Write a file beside its place, then in the place of what stands there.

    It is its owner's alone; one that is shared keeps the group and the rights of what stands there.

    Raises:
        OSError: it cannot be written, or something else than a plain file stands there.
    """
    there = path.lstat() if os.path.lexists(path) else None
    if there is not None and not S_ISREG(there.st_mode):
        raise OSError(errno.EEXIST, "a link, a folder or a device is there")
    with replacing(path) as private:
        made, _ = open_file(private, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        with BufferedWriter(made) as file:
            file.write(content)
            if is_shared and there is not None:
                _share_like(made, there)


def _share_like(file: FileIO, other: os.stat_result) -> None:
    """Give a file the group and the rights of another; none of a group that is not ours to give."""
    mode = other.st_mode & 0o666
    try:
        os.fchown(file.fileno(), -1, other.st_gid)
    except PermissionError:
        mode &= ~0o060
    os.fchmod(file.fileno(), mode)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a private name to write a file under, which at the end takes the place of this one.

    Whoever looks finds the old file or the new one, whole, and so does a machine that lost its
    power. Where an exception ends it, nothing is left.
    """
    private = private_name(path)
    try:
        yield private
        put_in_place(private, path)
    except BaseException:
        private.unlink(missing_ok=True)
        raise


def private_name(path: Path) -> Path:
    """A hidden name beside a path, which no other process or machine takes."""
    return path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")


def put_in_place(private: Path, path: Path) -> None:
    """Let a file that is whole take its own name, once it is on the disk."""
    sync(private)
    private.replace(path)


def sync(path: Path) -> None:
    """Return once a file or folder is on the disk: a machine that dies later has it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
