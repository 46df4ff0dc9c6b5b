"""What a run does with the parts and the files that are there: pure, plain data in and out.

A part is one batch's rows in all three tables under one name. Of each file that is present and did
not change, the rows are taken from one part; a part of which all rows are taken is kept as it is,
one of which some are is written anew without the rest, and what no part has is read. This is
decided folder by folder, as they are found.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, groupby
from operator import eq, itemgetter

from dicomhouse.filesystem import Files, below

Fingerprint = tuple[str, str, str | None]
"""Size, modification time, and why a file could not be looked at: what tells that it changed."""

_MOST_HELD_BACK = 4
"""Batches for which files are held back, however many jobs there are."""


@dataclass(frozen=True)
class Part:
    """A part that an earlier run left, and what its files were like when they were read."""

    name: str
    source: str
    folders: Sequence[Files]
    """Its files; each folder once."""
    not_read: Mapping[str, Collection[str]]
    """By folder, the names of files that were not read in full."""
    is_usable: bool = True
    """Whether its rows may stand in the next lake."""
    is_published: bool = True
    """Whether its rows stand in the lake that readers see."""


@dataclass(frozen=True)
class Use:
    """A part and the files in it whose rows are not wanted."""

    name: str
    source: str
    n_files: int
    """Files whose rows are wanted."""
    dropped: frozenset[str] = frozenset()
    """Paths below the source."""


@dataclass(slots=True)
class _Rows:
    """The rows that a part has of one folder's files."""

    part: Part
    files: Files
    taken: frozenset[str] | None = frozenset()
    """Names of the files whose rows are wanted; None for all."""


class Choice:
    """Where the rows of every present file come from; of each file exactly once."""

    def __init__(
        self,
        parts: Sequence[Part],
        again: Mapping[str, Collection[str]] | None = None,
        retry: bool = False,
    ) -> None:
        """Begin to choose.

        Args:
            parts: the preferred ones first; a name that comes again is the same part.
            again: by source, paths of files that are read again although they look unchanged.
            retry: whether to read again what was not read in full.
        """
        self.drift: Counter[str] = Counter()
        """Files `new` and `changed` since the published lake, and `gone` that are not seen yet."""
        self.tried_again = 0
        """Files that are read again for that they were not read in full."""
        self._retry = retry
        self._again: dict[str, dict[str, set[str]]] = {}
        for source, paths in (again or {}).items():
            by_folder = self._again.setdefault(source, {})
            for path in paths:
                folder, _, name = path.rpartition("/")
                by_folder.setdefault(folder, set()).add(name)
        self._parts: dict[str, Part] = {}
        self._rows: dict[str, dict[str, list[_Rows]]] = {}
        for part in parts:
            if self._parts.setdefault(part.name, part) is not part:
                continue
            of_source = self._rows.setdefault(part.source, {})
            for files in part.folders:
                of_source.setdefault(files.folder, []).append(_Rows(part, files))
                if part.is_published:
                    self.drift["gone"] += files.n_files

    def wanted(self, source: str, found: Files) -> Files | None:
        """Take the rows of files that are there; those that no part has rows of, to be read.

        Each file may be asked for once.
        """
        rows = self._rows.get(source, {}).get(found.folder)
        if rows is None:
            self.drift["new"] += found.n_files
            return found
        if len(rows) == 1 and rows[0].files == found:
            part, folder = rows[0].part, found.folder
            is_again = folder in self._again.get(source, ()) or (
                self._retry and folder in part.not_read
            )
            if part.is_usable and part.is_published and not is_again:
                rows[0].taken = None
                self.drift["gone"] -= found.n_files
                return None
        return self._compared(source, found, rows)

    def _compared(self, source: str, found: Files, rows: Sequence[_Rows]) -> Files | None:
        present = _fingerprints(found)
        again = set(self._again.get(source, {}).get(found.folder, ()))
        if self._retry:
            not_read = {name for one in rows for name in one.part.not_read.get(found.folder, ())}
            tried = {name for name in not_read & present.keys() if present[name][2] is None}
            self.tried_again += len(tried)
            again |= tried
        again &= present.keys()
        left = present.keys() - again
        known: dict[str, Fingerprint] = {}
        for one in rows:
            theirs = _fingerprints(one.files)
            if one.part.is_published:
                known |= theirs
            if one.part.is_usable and one.taken is not None:
                same = map(eq, theirs.values(), map(present.get, theirs))
                mine = left.intersection(compress(theirs, same))
                one.taken |= mine
                left -= mine
        there = present.keys() & known.keys()
        self.drift["new"] += len(present) - len(there)
        self.drift["gone"] -= len(there)
        self.drift["changed"] += sum(present[name] != known[name] for name in there)
        if wanted := left | again:
            return found.only([name in wanted for name in present])
        return None

    def as_published(self, source: str, found: Files) -> list[Files]:
        """What the published lake has of files of one folder, as it has them."""
        there = set(found.names.split("/"))
        known = []
        for one in self._rows.get(source, {}).get(found.folder, ()):
            is_there = [name in there for name in one.files.names.split("/")]
            if one.part.is_published and any(is_there):
                known.append(one.files.only(is_there))
        return known

    def published(self, source: str) -> Iterator[Files]:
        """The files of a source that the published lake has."""
        for rows in self._rows.get(source, {}).values():
            yield from (one.files for one in rows if one.part.is_published)

    def uses(self) -> list[Use]:
        """The parts of which rows were taken."""
        wanted: Counter[str] = Counter()
        for one in self._all():
            wanted[one.part.name] += one.files.n_files if one.taken is None else len(one.taken)
        dropped: dict[str, set[str]] = {}
        for one in self._all():
            if one.taken is not None and wanted[one.part.name]:
                left = (name for name in one.files.names.split("/") if name not in one.taken)
                dropped.setdefault(one.part.name, set()).update(
                    below(one.files.folder, name) for name in left
                )
        return [
            Use(part.name, part.source, wanted[part.name], frozenset(dropped.get(part.name, ())))
            for part in self._parts.values()
            if wanted[part.name]
        ]

    def _all(self) -> Iterator[_Rows]:
        for folders in self._rows.values():
            for rows in folders.values():
                yield from rows


def _fingerprints(files: Files) -> dict[str, Fingerprint]:
    problem = files.problems.get
    return {name: (size, time, problem(name)) for name, size, time in files.rows()}


def batches(
    wanted: Iterable[tuple[str, Files]], size: int, jobs: int
) -> Iterator[tuple[str, list[Files]]]:
    """Files of one source in batches of neighbouring folders, each as soon as it is full.

    A batch ends with the folder that brings it to `size`; a folder that would bring it beyond
    twice that is split. Some files are held back, so that the last ones of a source make batches
    of one size, one for each job where they are enough for that.

    Args:
        wanted: source and files, folder by folder, one source after the other.
        size: files of a batch.
        jobs: how many batches are read at a time.
    """
    held_back = (1 + min(jobs, _MOST_HELD_BACK)) * size
    for source, of_source in groupby(wanted, key=itemgetter(0)):
        waiting: deque[Files] = deque()
        n = 0
        for _, files in of_source:
            n += files.n_files
            is_large = files.n_files > 2 * size
            waiting += files.pieces(_ends(files.n_files, size)) if is_large else [files]
            while n >= held_back:
                batch = _cut(waiting, size, 2 * size)
                n -= n_files(batch)
                yield source, batch
        for left in range(_shares(n, size, jobs), 0, -1):
            share = -(-n // left)
            batch = _cut(waiting, share, share + share // 4 if left > 1 else n)
            n -= n_files(batch)
            yield source, batch


def n_files(batch: Iterable[Files]) -> int:
    """How many files there are in some folders."""
    return sum(files.n_files for files in batch)


def _cut(waiting: deque[Files], size: int, most: int) -> list[Files]:
    """Take folders that come to `size` files, but not to more than `most`: then one is split."""
    batch: list[Files] = []
    n = 0
    while waiting and n < size:
        files = waiting.popleft()
        if n + files.n_files > most:
            files, rest = files.pieces((size - n, files.n_files))
            waiting.appendleft(rest)
        batch.append(files)
        n += files.n_files
    return batch


def _ends(n: int, size: int) -> list[int]:
    return [*range(size, n, size), n]


def _shares(n: int, size: int, jobs: int) -> int:
    """How many batches the last `n` files of a source make: as many for each job, not too small."""
    full = -(-n // size)
    return min(-(-full // jobs) * jobs, max(n // max(1, size // 2), full and 1))


def merges(sizes: Mapping[str, int], full: int) -> list[list[str]]:
    """Which of one source's parts become one, so that few small ones remain.

    Parts of `full` files are left alone. Of the others each must be larger than all smaller ones
    together, or these are merged: of n files in small parts no more than log2(n) + 1 parts remain,
    and a row is written again at most about as often. No merged part exceeds twice `full`.
    """
    small = sorted(
        (name for name, n in sizes.items() if n < full), key=lambda name: (sizes[name], name)
    )
    end = total = 0
    for position, name in enumerate(small):
        if position and total >= sizes[name]:
            end = position + 1
        total += sizes[name]
    groups: list[list[str]] = []
    filled = 0
    for name in small[:end]:
        if not groups or filled + sizes[name] > 2 * full:
            groups.append([])
            filled = 0
        groups[-1].append(name)
        filled += sizes[name]
    return [group for group in groups if len(group) > 1]
