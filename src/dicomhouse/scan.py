"""Find the files below a source. Content decides later what they are; here nothing is left out."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple
from urllib.parse import quote

from dicomhouse.errors import SourceLost, UsageError
from dicomhouse.filesystem import is_there, microseconds, printable

_LONGEST_NAME = 200
"""A source's name is part of a folder's, where every odd byte takes three characters."""


@dataclass(frozen=True, slots=True)
class Source:
    """A folder to read, under the name that stands in every table."""

    name: str
    folder: Path

    @classmethod
    def parse(cls, text: str) -> Source:
        """Read `PATH` or `NAME=PATH`; the name is the folder's unless one is given.

        Raises:
            UsageError: there is no such folder.
        """
        name, equals, path = text.partition("=")
        if not equals or is_there(Path(text)):
            name, path = "", text
        folder = Path(path).expanduser()
        if not is_there(folder):
            raise UsageError(f"no such folder: {path}. Give a folder of DICOM files.")
        if not folder.is_dir():
            raise UsageError(f"not a folder: {path}. Give the folder that holds the files.")
        folder = folder.resolve()
        name = name or printable(folder.name) or "root"
        if len(quote(name)) > _LONGEST_NAME:
            raise UsageError(f"the source's name is too long: {name}. Give another: NAME=PATH.")
        return cls(name, folder)


class Found(NamedTuple):
    """One entry below a source; `problem` where it could not even be looked at."""

    path: str
    """Below the source, with slashes, as text; bytes that are no UTF-8 as backslash escapes."""
    os_path: str
    size_bytes: int | None
    modified_ns: int | None
    problem: str | None = None

    @property
    def fingerprint(self) -> tuple[int | None, int | None, str | None]:
        """What tells that a file changed: size, microseconds, and the problem."""
        return self.size_bytes, microseconds(self.modified_ns), self.problem


def sources_of(texts: list[str]) -> list[Source]:
    """The sources named on a command line.

    Raises:
        UsageError: a folder is missing, or two sources bear one name.
    """
    sources = [Source.parse(text) for text in texts]
    seen: dict[str, Path] = {}
    for source in sources:
        if source.name in seen:
            raise UsageError(
                f"two sources are named {source.name}: {seen[source.name]} and {source.folder}. "
                "Name one of them, as in NAME=PATH."
            )
        seen[source.name] = source.folder
    return sources


def scan_all(source: Source, others: Collection[Source] = ()) -> list[Found]:
    """Every file below a source, as `scan` gives them.

    Raises:
        SourceLost: the folder is gone, or became another one, while it was looked through.
    """
    before = identity(source)
    found = list(scan(source, others))
    still_there(source, before)
    return found


def identity(source: Source) -> tuple[int, int]:
    """What tells a mounted source from the empty folder that is left without it.

    Raises:
        SourceLost: there is no such folder any more.
    """
    try:
        return _identity(source.folder)
    except OSError as error:
        raise SourceLost(
            f"source {source.name}: cannot look into {source.folder}: {error.strerror}. "
            "Is it mounted? The published warehouse is unchanged."
        ) from error


def still_there(source: Source, before: tuple[int, int]) -> None:
    """Raise SourceLost where a source's folder is not the one it was."""
    if identity(source) != before:
        raise SourceLost(
            f"source {source.name}: {source.folder} was replaced or unmounted meanwhile. "
            "Build again when it is there; the published warehouse is unchanged."
        )


def scan(source: Source, others: Collection[Source] = ()) -> Iterator[Found]:
    """Every file below a source, folder by folder in the order of their names.

    A folder that is a source of its own among `others` is left to that source. The one among them
    without a name is the warehouse: links into it are passed over.

    Symbolic links are followed once: a folder that was entered already (by its device and inode)
    is passed over, which ends loops. A folder or link that cannot be read is an entry of its own,
    with its problem.
    """
    entered = {_identity(other.folder) for other in others if other != source}
    own = [other.folder for other in others if not other.name]
    pending = [(str(source.folder), "")]
    while pending:
        folder, below = pending.pop()
        try:
            identity = _identity(folder)
            if identity in entered:
                continue
            entered.add(identity)
            with os.scandir(folder) as entries:
                children = sorted(entries, key=attrgetter("name"))
        except OSError as error:
            yield Found(printable(below) or ".", folder, None, None, _problem("folder", error))
            continue
        subfolders = []
        for child in children:
            path = f"{below}/{child.name}" if below else child.name
            try:
                if child.is_symlink() and _leads_into(child.path, own):
                    continue
                if child.is_dir():
                    subfolders.append((child.path, path))
                    continue
                status = child.stat()
            except OSError as error:
                yield Found(printable(path), child.path, None, None, _problem("file", error))
                continue
            is_file = S_ISREG(status.st_mode)
            problem = None if is_file else "not_a_file: neither a file nor a folder"
            yield Found(printable(path), child.path, status.st_size, status.st_mtime_ns, problem)
        pending.extend(reversed(subfolders))


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)  # noqa: PTH116
    return status.st_dev, status.st_ino


def _leads_into(link: str, folders: Collection[Path]) -> bool:
    target = Path(os.path.realpath(link))
    return any(target.is_relative_to(folder) for folder in folders)


def _problem(kind: str, error: OSError) -> str:
    return f"{kind}_unreadable: {error.strerror or type(error).__name__}"
