"""Find the files below a source. Content decides later what they are; here nothing is left out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

from dicomhouse.errors import SourceLost, UsageError
from dicomhouse.filesystem import UNKNOWN, Files, is_there, printable
from dicomhouse.sources.listing import Listing, Listings

_LONGEST_NAME = 200
"""A source's name is part of a folder's, where every odd byte takes three characters."""


@dataclass(frozen=True, slots=True)
class Source:
    """A folder to read, under the name that stands in every table."""

    name: str
    folder: Path

    @classmethod
    def parse(cls, text: str, known: Mapping[str, str] = MappingProxyType({})) -> Source:
        """Read `PATH` or `NAME=PATH`; the name is the folder's unless one is given.

        Args:
            text: what was named.
            known: the folders of the warehouse's sources by name.

        Raises:
            UsageError: there is no such folder.
            SourceLost: there is none any more, of a source that the warehouse has.
        """
        name, equals, path = text.partition("=")
        if not equals or is_there(Path(text)):
            name, path = "", text
        folder = Path(path).expanduser()
        if not is_there(folder):
            name = name or printable(folder.name)
            if known.get(name) == str(folder.resolve()):
                raise lost(name, folder)
            raise UsageError("no such folder: {path}. Give a folder of DICOM files.", path=path)
        if not folder.is_dir():
            raise UsageError("not a folder: {path}. Give the folder with the files.", path=path)
        folder = folder.resolve()
        name = name or printable(folder.name) or "root"
        if len(quote(name)) > _LONGEST_NAME:
            raise UsageError(
                "the source's name is too long: {name}. Give another: NAME=PATH.", name=name
            )
        return cls(name, folder)


def lost(name: str, folder: str | Path) -> SourceLost:
    """That the folder of a source which the warehouse has is gone."""
    return SourceLost(
        "source {source}: no folder {folder}. Is it mounted? Where it has moved: {source}=PATH. If "
        "it is gone by intent: --forget {source}. The published warehouse is unchanged.",
        source=name,
        folder=folder,
    )


def sources_of(
    texts: Sequence[str], known: Mapping[str, str] = MappingProxyType({})
) -> list[Source]:
    """The sources named on a command line, where the warehouse has those that are `known`.

    Raises:
        UsageError: a folder is missing, or two sources bear one name.
        SourceLost: the folder of a known source is gone.
    """
    sources = [Source.parse(text, known) for text in texts]
    seen: dict[str, Path] = {}
    for source in sources:
        if source.name in seen:
            raise UsageError(
                "two sources are named {source}: {one} and {other}. Name one of them, as in "
                "NAME=PATH.",
                source=source.name,
                one=seen[source.name],
                other=source.folder,
            )
        seen[source.name] = source.folder
    return sources


def identity(source: Source) -> tuple[int, int]:
    """What tells a mounted source from the empty folder that is left without it.

    Raises:
        SourceLost: there is no such folder any more.
    """
    try:
        return _identity(source.folder)
    except OSError as error:
        raise SourceLost(
            f"source {{source}}: cannot look into {{folder}}: {error.strerror}. Is it mounted? The "
            "published warehouse is unchanged.",
            source=source.name,
            folder=source.folder,
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
        folder=source.folder,
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
        self.places = {source.name: identity(source) for source in sources}
        """By source, which folder it is: an unmounted one is another."""
        self._roots = set(self.places.values())
        others = [*(source.folder for source in elsewhere), *own]
        for folder in others:
            with suppress(OSError):
                self._roots.add(_identity(folder))
        folders = [str(source.folder) for source in sources]
        self._elsewhere = {*folders, *map(str, others)}
        self._listings = Listings(folders, self._elsewhere, list(map(str, own)), apart)

    def files(self, source: Source) -> Iterator[Files]:
        """The files below a source, folder by folder in the order of their names.

        A folder that is a source of its own is left to that source. Symbolic links are followed
        once: a folder that was entered already (by its device and inode) is passed over, which
        ends loops. A folder or link that cannot be read is an entry of its own, with its problem.

        Raises:
            SourceLost: the folder is gone, cannot be listed, or became another one meanwhile.
        """
        place = self.places[source.name]
        entered: set[tuple[int, int]] = set()
        pending = [iter([(str(source.folder), "", False)])]
        while pending:
            folder, below, is_link = next(pending[-1], ("", "", False))
            if not folder:
                pending.pop()
                continue
            if below and folder in self._elsewhere:
                continue
            if is_link:
                with suppress(OSError):  # its listing says why
                    if _identity(folder) in entered:
                        continue
            listing = self._listings.of(folder)
            if listing.problem is not None:
                yield _unreadable(source, printable(below), listing.problem)
                continue
            if listing.identity in entered or (below and listing.identity in self._roots):
                continue
            if not below and listing.identity != place:
                raise _replaced(source)
            entered.add(listing.identity)
            if listing.names:
                yield listing.files(printable(below))
            pending.append(_folders(folder, below, listing))
        still_there(source, place)

    def close(self) -> None:
        """Give up what was not asked for."""
        self._listings.close()


def _folders(folder: str, below: str, listing: Listing) -> Iterator[tuple[str, str, bool]]:
    """Path, path below the source, and whether it is a link, of each folder in one."""
    links = frozenset(listing.links)
    for name in listing.folders:
        yield f"{folder}/{name}", f"{below}/{name}" if below else name, name in links


def _unreadable(source: Source, folder: str, problem: str) -> Files:
    if not folder:
        raise SourceLost(
            f"source {{source}}: cannot look into {{folder}}: {problem}. Give the right to read "
            "it; the published warehouse is unchanged.",
            source=source.name,
            folder=source.folder,
        )
    parent, _, name = folder.rpartition("/")
    return Files(parent, name, UNKNOWN, UNKNOWN, {name: problem})


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)  # noqa: PTH116
    return status.st_dev, status.st_ino
