"""What is to be read, under which name, and what of it: as a user names it, and as tables do."""

from __future__ import annotations

import os
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

from dicomhouse.errors import SourceLost, UsageError
from dicomhouse.filesystem import is_there, printable
from dicomhouse.sources.archives import IS_ARCHIVE
from dicomhouse.sources.globs import Rules
from dicomhouse.sources.opening import IS_STORE

_LONGEST_NAME = 200
"""A source's name is part of a folder's, where every odd byte takes three characters."""
_STORES = ("s3://", "gs://", "az://")
_MOST_LIST_BYTES = 256 << 20
EVERYTHING = Rules()
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Source:
    """What to read, under the name that stands in every table."""

    name: str
    address: str
    """A folder, an archive, or an object store's: the beginning of all its places (`opening`)."""
    rules: Rules = EVERYTHING
    list_file: str | None = None
    """The file that lists what is read below the address; None for all."""

    @property
    def is_store(self) -> bool:
        return IS_STORE in self.address

    @property
    def origin(self) -> str:
        """What no other source may be: its list, or else its address; lists may share a folder."""
        return self.list_file or self.address

    @property
    def folder(self) -> Path:
        """Of a file system's sources."""
        assert not self.is_store
        return Path(self.address)

    @classmethod
    def parse(
        cls,
        text: str,
        known: Mapping[str, str] = _NOTHING,
        rules: Mapping[str, Rules] = MappingProxyType({}),
    ) -> Source:
        """Read `PLACE` or `NAME=PLACE`; the name is the place's own unless one is given.

        A place is a folder, an archive, an address such as `s3://bucket/folder`, or `@FILE`.

        Args:
            text: what was named.
            known: the addresses of the warehouse's sources by name.
            rules: what is read of a source, by its name; that of none is of all others.

        Raises:
            UsageError: there is no such place.
            SourceLost: there is none any more, of a source that the warehouse has.
        """
        name, equals, given = text.partition("=")
        if not equals or IS_STORE in name or is_there(Path(text)):  # as in s3://bucket/a=b
            name, given = "", text
        list_file = None
        if IS_STORE in given:
            if not given.startswith(_STORES):
                raise UsageError(
                    "no such kind of store: {address}. There are s3://, gs:// and az://.",
                    address=given,
                )
            address = given.rstrip("/")
            own_name = address.rpartition("/")[2]
        elif given.startswith("@") and not is_there(Path(given)):
            list_file = str(Path(given[1:]).expanduser().resolve())
            address = str(common_folder(listed(list_file)))
            own_name = Path(list_file).stem
        else:
            path = _existing(name, Path(given).expanduser(), known)
            address, own_name = str(path), path.name
        name = name or printable(own_name) or "root"
        if len(quote(name)) > _LONGEST_NAME:
            raise UsageError(
                "the source's name is too long: {name}. Give another: NAME=PATH.", name=name
            )
        return cls(name, address, rules.get(name, rules.get("", EVERYTHING)), list_file)


def _existing(name: str, path: Path, known: Mapping[str, str]) -> Path:
    if not is_there(path):
        name = name or printable(path.name)
        if known.get(name) == str(path.resolve()):
            raise lost(name, path)
        raise UsageError("no such folder: {path}. Give a folder of DICOM files.", path=path)
    if not path.is_dir() and not (path.is_file() and IS_ARCHIVE.search(path.name)):
        raise UsageError(
            "not a folder: {path}. Give the folder with the files, an archive (.zip, .tar, "
            ".tar.gz), or a list of paths as @FILE.",
            path=path,
        )
    return path.resolve()


def listed(list_file: str) -> list[Path]:
    """The files and folders that a list names, a line each; relative ones are beside the list.

    Raises:
        UsageError: it cannot be read, or names nothing.
    """
    try:
        with Path(list_file).open("rb") as file:
            content = file.read(_MOST_LIST_BYTES).removeprefix(BOM_UTF8)
    except OSError as error:
        raise UsageError(
            f"cannot read the list {{path}}: {error.strerror}.", path=list_file
        ) from None
    beside = Path(list_file).parent
    lines = filter(bytes.strip, content.splitlines())
    paths = [Path(os.path.normpath(beside / os.fsdecode(line))) for line in lines]
    if not paths:
        raise UsageError("the list {path} names no file. Give a path a line.", path=list_file)
    return paths


def common_folder(paths: Sequence[Path]) -> Path:
    """The folder that holds all of them: what is below it is their path in the tables."""
    folders = {path if path.is_dir() else path.parent for path in paths}
    return Path(os.path.commonpath(folders))


def lost(name: str, folder: str | Path) -> SourceLost:
    """That the folder of a source which the warehouse has is gone."""
    return SourceLost(
        "source {source}: no folder {folder}. Is it mounted? Where it has moved: {source}=PATH. If "
        "it is gone by intent: --forget {source}. The published warehouse is unchanged.",
        source=name,
        folder=folder,
    )


def sources_of(
    texts: Sequence[str],
    known: Mapping[str, str] = _NOTHING,
    rules: Mapping[str, Rules] = MappingProxyType({}),
) -> list[Source]:
    """The sources named on a command line, where the warehouse has those that are `known`.

    Raises:
        UsageError: a place is missing, or two sources bear one name.
        SourceLost: the folder of a known source is gone.
    """
    sources = [Source.parse(text, known, rules) for text in texts]
    seen: dict[str, str] = {}
    for source in sources:
        if source.name in seen:
            raise UsageError(
                "two sources are named {source}: {one} and {other}. Name one of them, as in "
                "NAME=PATH.",
                source=source.name,
                one=seen[source.name],
                other=source.address,
            )
        seen[source.name] = source.address
    return sources
