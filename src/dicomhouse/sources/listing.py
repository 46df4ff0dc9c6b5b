"""Look into folders: what lies in each, in columns; in a process of its own too.

A file costs a system call and hardly a Python object beside it. The process lists all that lies
below some folders from the end, while whoever needs it comes from the beginning: whatever shape
the tree has, they meet, and no folder needs to be asked for. It imports next to nothing.
"""

from __future__ import annotations

import marshal
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from operator import attrgetter, itemgetter
from stat import S_ISREG
from typing import Any, NamedTuple

from dicomhouse.filesystem import UNKNOWN, Files, microseconds, printable

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NAME = attrgetter("name")
_LENGTH_BYTES = 8
_LAST_WORDS_SECONDS = 2
_FEW_ENTRIES = 2_000
"""Entries of the folders that are told at a time."""


class Listing(NamedTuple):
    """What lies in one folder."""

    identity: tuple[int, int] = (0, 0)
    """Device and inode of the folder: what tells that two paths lead to one."""
    names: str = ""
    sizes: str = ""
    times: str = ""
    problems: Mapping[str, str] = {}
    """Of its files, as in `Files`."""
    folders: Sequence[str] = ()
    """The file system's names of the folders in it, in order."""
    links: Collection[str] = ()
    """Those among them that are symbolic links."""
    problem: str | None = None
    """Why the folder cannot be looked into."""

    def files(self, folder: str) -> Files:
        """Its files, under its path below the source."""
        return Files(folder, self.names, self.sizes, self.times, self.problems)


def look(folder: str, own: Sequence[str]) -> Listing:
    """List a folder; symbolic links into the folders `own` are passed over."""
    try:
        descriptor = os.open(folder, _FOLDER)
        try:
            return _look(folder, descriptor, own)
        finally:
            os.close(descriptor)
    except OSError as error:
        return Listing(problem=_problem("folder", error))


def _look(folder: str, descriptor: int, own: Sequence[str]) -> Listing:
    files: list[os.DirEntry[str]] = []
    rest: list[os.DirEntry[str]] = []
    with os.scandir(descriptor) as entries:
        for entry in entries:
            try:  # what it is, most file systems tell with its name
                (files if entry.is_file(follow_symlinks=False) else rest).append(entry)
            except OSError:
                rest.append(entry)
    folders: list[str] = []
    links: list[str] = []
    problems: dict[str, str] = {}
    for entry in sorted(rest, key=_NAME):
        try:
            is_link = entry.is_symlink()
            if is_link and _leads_into(f"{folder}/{entry.name}", own):
                continue
            if entry.is_dir():
                folders.append(entry.name)
                if is_link:
                    links.append(entry.name)
                continue
            if not S_ISREG(entry.stat().st_mode):
                problems[entry.name] = "not_a_file: neither a file nor a folder"
        except OSError as error:
            problems[entry.name] = _problem("file", error)
        files.append(entry)
    files.sort(key=_NAME)
    try:
        statuses: list[os.stat_result | None] = [entry.stat() for entry in files]
    except OSError:
        statuses = [_status(entry, problems) for entry in files]
    names = "/".join(map(_NAME, files))
    stored = printable(names)
    if stored != names:
        rows = sorted(zip(stored.split("/"), statuses, strict=True), key=itemgetter(0))
        stored = "/".join(name for name, _ in rows)
        statuses = [status for _, status in rows]
        problems = {printable(name): problem for name, problem in problems.items()}
    own_status = os.fstat(descriptor)
    identity = own_status.st_dev, own_status.st_ino
    return Listing(identity, stored, *_columns(statuses), problems, folders, links)


def _status(entry: os.DirEntry[str], problems: dict[str, str]) -> os.stat_result | None:
    """What the file system says of an entry, or None, and its problem."""
    try:
        return entry.stat()
    except OSError as error:
        problems[entry.name] = _problem("file", error)
        return None


def _columns(statuses: Sequence[os.stat_result | None]) -> tuple[str, str]:
    """Sizes and times as `Files` has them."""
    sizes = [UNKNOWN if status is None else str(status.st_size) for status in statuses]
    times = [None if status is None else microseconds(status.st_mtime_ns) for status in statuses]
    return " ".join(sizes), " ".join([UNKNOWN if time is None else str(time) for time in times])


def _leads_into(link: str, folders: Sequence[str]) -> bool:
    target = os.path.realpath(link)
    return any(target == folder or target.startswith(f"{folder}/") for folder in folders)


def _problem(kind: str, error: OSError) -> str:
    return f"{kind}_unreadable: {error.strerror or type(error).__name__}"


def from_the_end(
    roots: Sequence[str], others: Collection[str], own: Sequence[str]
) -> Iterator[tuple[str, Listing]]:
    """Path and listing of every folder below some, the last ones first.

    Neither links are followed nor folders among `others` entered.
    """
    for root in reversed(roots):
        pending = [root]
        while pending:
            folder = pending.pop()
            listing = look(folder, own)
            yield folder, listing
            links = frozenset(listing.links)
            paths = (f"{folder}/{name}" for name in listing.folders if name not in links)
            pending.extend(path for path in paths if path not in others)


class Listings:
    """Listings of the folders below some, made in time by a process of its own where it can.

    Without the process, or should it end early, each folder is looked into when it is asked for.
    """

    def __init__(
        self, roots: Sequence[str], others: Collection[str], own: Sequence[str], apart: bool
    ) -> None:
        """Begin to look.

        Args:
            roots: the folders to list all below of.
            others: folders below these that are not to be entered beforehand.
            own: folders; symbolic links into them are passed over.
            apart: whether to start the process.
        """
        self._own = own
        self._known: dict[str, tuple[Any, ...]] = {}
        self._told: deque[bytes] = deque()
        self._process: subprocess.Popen[bytes] | None = None
        if not apart:
            return
        with suppress(OSError):  # the process is a help and no more
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "dicomhouse.sources.listing"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # a stop ends it too
            )
            order = marshal.dumps((list(roots), list(others), list(own)))
            self._thread = threading.Thread(
                target=self._take, args=(self._process, order), daemon=True, name="listings"
            )
            self._thread.start()

    def of(self, folder: str) -> Listing:
        """What lies in a folder; each may be asked for once."""
        while self._told:
            for path, listing in marshal.loads(self._told.popleft()):
                self._known[path] = listing
        known = self._known.pop(folder, None)
        return look(folder, self._own) if known is None else Listing(*known)

    def close(self) -> None:
        """End the process, whatever it still does."""
        if self._process is not None:
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):  # a dead file system holds it fast
                self._process.wait(_LAST_WORDS_SECONDS)
            self._thread.join(_LAST_WORDS_SECONDS)
            self._told.clear()
            self._known.clear()
            self._process = None

    def _take(self, process: subprocess.Popen[bytes], order: bytes) -> None:
        """Keep the pipe empty; to do more here would hold up whoever looks through folders."""
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError), process.stdin as asked:
            asked.write(order)
        with process.stdout as stream:
            while len(length := stream.read(_LENGTH_BYTES)) == _LENGTH_BYTES:
                n = int.from_bytes(length, "little")
                some = stream.read(n)
                if len(some) == n:  # else it was killed
                    self._told.append(some)


def main() -> None:
    """Tell, in the form that `Listings` takes, what lies below the folders that it asks for."""
    roots, others, own = marshal.load(sys.stdin.buffer)
    some: list[tuple[str, tuple[Any, ...]]] = []
    entries = 0

    def tell() -> None:
        content = marshal.dumps(some)
        sys.stdout.buffer.write(len(content).to_bytes(_LENGTH_BYTES, "little") + content)
        sys.stdout.buffer.flush()

    for folder, listing in from_the_end(roots, set(others), own):
        some.append((folder, tuple(listing)))
        entries += listing.sizes.count(" ") + len(listing.folders) + 1
        if entries >= _FEW_ENTRIES:
            tell()
            some.clear()
            entries = 0
    tell()


if __name__ == "__main__":
    main()
