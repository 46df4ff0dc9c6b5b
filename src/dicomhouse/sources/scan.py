"""Find the files of a source: one half of what a kind of source is (`opening` has the other).

Content decides later what they are. What is left out here is counted.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR

from dicomhouse.errors import SourceLost
from dicomhouse.filesystem import UNKNOWN, Files, below, os_path, printable
from dicomhouse.sources import archives
from dicomhouse.sources.archives import IS_ARCHIVE
from dicomhouse.sources.listing import Listing, Listings
from dicomhouse.sources.source import Source, listed

_HAS_ARCHIVE = re.compile(r"\.(?:zip|tar|tar\.gz|tgz)(?=/|\Z)", re.IGNORECASE)


def identity(source: Source) -> tuple[int, int]:
    """What tells a mounted source from the empty folder that is left without it.

    Raises:
        SourceLost: there is no such folder any more.
    """
    return _status(source)[:2]


def _status(source: Source) -> tuple[int, int, bool]:
    """Device, inode, and whether it is a folder."""
    if source.is_store:
        return 0, 0, False
    try:
        status = os.stat(source.address)  # noqa: PTH116
        return status.st_dev, status.st_ino, S_ISDIR(status.st_mode)
    except OSError as error:
        raise SourceLost(
            f"source {{source}}: cannot look into {{folder}}: {error.strerror}. Is it mounted? The "
            "published warehouse is unchanged.",
            source=source.name,
            folder=source.address,
        ) from error


def still_there(source: Source, before: tuple[int, int]) -> None:
    """Raise SourceLost where a source's folder is not the one it was."""
    if identity(source) != before:
        raise _replaced(source)


def _replaced(source: Source) -> SourceLost:
    return SourceLost(
        "source {source}: {folder} was replaced or unmounted meanwhile. Build again when it is "
        "there; the published warehouse is unchanged.",
        source=source.name,
        folder=source.address,
    )


class Scan:
    """The files below some sources, most of them looked up by the time they are asked for."""

    def __init__(
        self,
        sources: Sequence[Source],
        elsewhere: Sequence[Source] = (),
        own: Sequence[Path] = (),
        apart: bool = False,
    ) -> None:
        """Begin to look.

        Args:
            sources: what is to be looked through.
            elsewhere: sources that are not, in which nothing is looked for either.
            own: folders that are passed over, as are symbolic links into them.
            apart: whether a process of its own may look ahead.

        Raises:
            SourceLost: the folder of a source is gone.
        """
        statuses = {source.name: _status(source) for source in sources}
        self.places = {name: status[:2] for name, status in statuses.items()}
        """By source, which folder it is: an unmounted one is another."""
        whole = [s for s in sources if s.list_file is None and not s.is_store]
        self._folders = [s.address for s in whole if statuses[s.name][2]]
        self._roots = {self.places[source.name] for source in whole}
        self.passed_over: Counter[str] = Counter()
        """By source, how many files and folders the globs left out."""
        rest = (s.folder for s in elsewhere if s.list_file is None and not s.is_store)
        others = [*rest, *own]
        for folder in others:
            with suppress(OSError):
                self._roots.add(_identity(folder))
        self._elsewhere = {*(source.address for source in whole), *map(str, others)}
        self._listings = Listings(self._folders, self._elsewhere, list(map(str, own)), apart)

    def files(self, source: Source) -> Iterator[Files]:
        """The files of a source, folder by folder; what its globs leave out is counted.

        An archive is a folder of its members. A folder that is a source of its own is left to that
        source. Symbolic links are followed once: a folder that was entered already (by its device
        and inode) is passed over, which ends loops. A folder, link or archive that cannot be read
        is an entry of its own, with its problem.

        Raises:
            SourceLost: the source is gone, cannot be listed, or became another one meanwhile.
        """
        place = self.places[source.name]
        for files in self._found(source):
            kept: Files | None = files
            if source.rules.may_sift(files):
                kept = source.rules.sift(files)
                self.passed_over[source.name] += files.n_files - (kept.n_files if kept else 0)
            if kept is not None:
                yield kept
        if not source.is_store:
            still_there(source, place)

    def _found(self, source: Source) -> Iterator[Files]:
        if source.is_store:
            from dicomhouse.sources.objects import find

            try:
                yield from find(source.address)
            except OSError as error:
                raise SourceLost(
                    f"source {{source}}: cannot list {{folder}}: {error.strerror}. Are address "
                    "and credentials right? The published warehouse is unchanged.",
                    source=source.name,
                    folder=source.address,
                ) from error
        elif source.list_file is not None:
            yield from self._listed(source, source.list_file)
        elif source.address in self._folders:
            yield from self._below(source, "")
        else:
            yield from self._archive(source, source.address, "")

    def _listed(self, source: Source, list_file: str) -> Iterator[Files]:
        """What a list names: files by folder, folders with all that is in them."""
        by_folder: dict[str, set[str]] = {}
        entered: set[Path] = set()
        paths = sorted(set(listed(list_file)))
        for path in [path for path in paths if path.is_dir()]:
            if entered.isdisjoint(path.parents):
                entered.add(path)
                relative = os.path.relpath(path, source.address)
                yield from self._below(source, "" if relative == "." else relative)
        for path in paths:
            if path not in entered and entered.isdisjoint(path.parents):
                folder, _, name = os.path.relpath(path, source.address).rpartition("/")
                by_folder.setdefault(folder, set()).add(name)
        for folder, names in sorted(by_folder.items()):
            yield from self._files_of(source, folder, names)

    def _files_of(self, source: Source, folder: str, names: set[str]) -> Iterator[Files]:
        """Some files of a folder, those too that are not there."""
        listing = self._listings.of(f"{source.address}/{folder}" if folder else source.address)
        text = printable(folder)
        there = listing.files(text)
        wanted = {printable(name) for name in names}
        known = there.names.split("/") if listing.names else []
        if found := wanted.intersection(known):
            whole = there.only([name in found for name in known])
            yield from self._with_archives(source, folder, whole)
        for name in sorted(wanted - set(known)):
            problem = "file_unreadable: the list names it, and it is not there"
            yield Files(text, name, UNKNOWN, UNKNOWN, {name: problem})

    def _below(self, source: Source, beginning: str) -> Iterator[Files]:
        """What lies in a folder of a source and in those in it, in the order of their names."""
        root = f"{source.address}/{beginning}" if beginning else source.address
        entered: set[tuple[int, int]] = set()
        pending = [iter([(root, beginning, False)])]
        while pending:
            folder, path, is_link = next(pending[-1], ("", "", False))
            if not folder:
                pending.pop()
                continue
            if path and folder in self._elsewhere:
                continue
            if path and source.rules.passes_over(printable(path)):
                self.passed_over[source.name] += 1
                continue
            if is_link:
                with suppress(OSError):  # its listing says why
                    if _identity(folder) in entered:
                        continue
            listing = self._listings.of(folder)
            if listing.problem is not None:
                yield _unreadable(source, printable(path), listing.problem)
                continue
            if listing.identity in entered or (path and listing.identity in self._roots):
                continue
            if not path and listing.identity != self.places[source.name]:
                raise _replaced(source)
            entered.add(listing.identity)
            if listing.names:
                yield from self._with_archives(source, path, listing.files(printable(path)))
            pending.append(_folders(folder, path, listing))

    def _with_archives(self, source: Source, folder: str, files: Files) -> Iterator[Files]:
        """Files of a folder, and instead of an archive its members."""
        if not _HAS_ARCHIVE.search(files.names):
            yield files
            return
        plain = []
        problems = dict(files.problems)
        inside: list[Files] = []
        for name in files.names.split("/"):
            plain.append(True)
            path = below(files.folder, name)
            if not IS_ARCHIVE.search(name) or name in problems or source.rules.passes_over(path):
                continue
            place = f"{source.address}/{below(folder, os_path(name))}"
            if place in self._elsewhere:
                plain[-1] = False
                continue
            members, problem = _look_into(place, path)
            inside += members
            if problem is not None:
                problems[name] = problem
            elif members:
                plain[-1] = False
        if any(plain):
            yield files._replace(problems=problems).only(plain)
        yield from inside

    def _archive(self, source: Source, place: str, path: str) -> Iterator[Files]:
        members, problem = _look_into(place, path)
        if problem is not None or not members:
            raise SourceLost(
                f"source {{source}}: cannot look into {{folder}}: {problem or 'no archive'}. "
                "The published warehouse is unchanged.",
                source=source.name,
                folder=source.address,
            )
        yield from members

    def close(self) -> None:
        """Give up what was not asked for."""
        self._listings.close()


def _folders(folder: str, below: str, listing: Listing) -> Iterator[tuple[str, str, bool]]:
    """Path, path below the source, and whether it is a link, of each folder in one."""
    links = frozenset(listing.links)
    for name in listing.folders:
        yield f"{folder}/{name}", f"{below}/{name}" if below else name, name in links


def _look_into(place: str, path: str) -> tuple[list[Files], str | None]:
    """What an archive holds, and why not all of it; nothing of what is none."""
    try:
        archive, status = archives.look_into(place)
    except OSError as error:
        return [], f"file_unreadable: {error.strerror or type(error).__name__}"
    if archive is None:
        return [], None
    return list(archive.folders(path, status.st_mtime_ns)), archive.problem


def _unreadable(source: Source, folder: str, problem: str) -> Files:
    if not folder:
        raise SourceLost(
            f"source {{source}}: cannot look into {{folder}}: {problem}. Give the right to read "
            "it; the published warehouse is unchanged.",
            source=source.name,
            folder=source.address,
        )
    parent, _, name = folder.rpartition("/")
    return Files(parent, name, UNKNOWN, UNKNOWN, {name: problem})


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)  # noqa: PTH116
    return status.st_dev, status.st_ino
