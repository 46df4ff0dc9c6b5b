"""Files within `.zip`, `.tar` and `.tar.gz`, which are looked into and read, never unpacked.

An archive is a folder of its members: `study.zip/CT/IM1`. That is no other file's path, since a
file system cannot hold both a file and a folder of a name. What an archive may cost is bounded, as
it may be made to cost more; what cannot be read in it is a row with its reason.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from io import FileIO, RawIOBase
from struct import error as StructError
from typing import Any, NamedTuple
from zlib import error as ZlibError

from dicomhouse.filesystem import UNKNOWN, Files, below, microseconds, open_file, printable
from dicomhouse.sources.inflated import GZIP, RAW, Inflated, State, Window
from dicomhouse.sources.opening import Facts

IS_ARCHIVE = re.compile(r"\.(?:zip|tar|tar\.gz|tgz)\Z", re.IGNORECASE)
"""Of a name; of its bytes it is asked too."""
_MAGIC = {".zip": (0, b"PK"), ".tar": (257, b"ustar"), ".gz": (0, b"\x1f\x8b"),
          ".tgz": (0, b"\x1f\x8b")}  # fmt: skip

MOST_MEMBERS = 200_000
MOST_DIRECTORY_BYTES = 32 << 20
"""Of a zip, which is read at once."""
MOST_HEADER_BYTES = 1 << 20
"""Of a tar's header for a long name, or for attributes beyond the old ones; read at once."""
MOST_UNPACKED = 1 << 30
MOST_RATIO = 100
"""An archive may hold so many bytes, and more where it is itself not so many times smaller."""

_LOCAL_HEAD = 30
_TAR_BLOCK = 512
_LONG_NUMBERS = re.compile(rb"\d{65,}")
_MOST_DIGITS = 8_192
"""Of numbers longer than any UID, in all headers of an archive."""
_DAMAGES = (tarfile.TarError, zipfile.BadZipFile, ZlibError, StructError, EOFError, ValueError,
            NotImplementedError, OverflowError, RecursionError, AttributeError, KeyError,
            IndexError, TypeError)  # fmt: skip
"""What the libraries raise of what is no sound archive."""


class Member(NamedTuple):
    """A file in an archive."""

    size: int
    start: int = 0
    """Where its bytes begin; of a zip's the head before them."""
    n_packed: int | None = None
    """Deflated bytes; None where they stand as they are."""
    problem: str | None = None
    """Why it is not read."""


@dataclass
class Archive:
    """What was found in an archive."""

    members: dict[str, Member] = field(default_factory=dict)
    """By path, as the file system would have it."""
    states: list[State] = field(default_factory=list)
    """Of a `.gz`: where to go on from (`inflated`)."""
    problem: str | None = None
    """Why not all of it was found, or nothing."""

    def add(self, name: str, member: Member) -> None:
        """Add a member under its name, as one path: one name that stands twice is neither."""
        parts = [part for part in name.split("/") if part not in ("", ".")]
        path = "/".join(parts)
        if ".." in parts:
            member = _refused("member_refused: its name leads out of the archive")
            path = "/".join("\\.." if part == ".." else part for part in parts)
        elif path in self.members:
            member = _refused("member_refused: another one in the archive has its name")
        elif IS_ARCHIVE.search(path):
            member = _refused("nested_archive: an archive in an archive is not looked into")
        if path:
            self.members[path] = member
        if len(self.members) > MOST_MEMBERS:
            raise TooMuch(f"more than {MOST_MEMBERS:,} members")

    def folders(self, path: str, modified_ns: int) -> Iterator[Files]:
        """Its members by folder, in order, with the archive's time.

        Args:
            path: the archive's, below the source; empty where it is the source.
            modified_ns: when it was modified.
        """
        time = microseconds(modified_ns)
        stamp = UNKNOWN if time is None else str(time)
        by_folder: dict[str, dict[str, Member]] = {}
        for name, member in self.members.items():
            folder, _, last = printable(name).rpartition("/")
            by_folder.setdefault(folder, {})[last] = member
        for folder, members in sorted(by_folder.items()):
            names = sorted(members)
            sizes = [UNKNOWN if members[n].problem else str(members[n].size) for n in names]
            yield Files(
                below(path, folder) if folder else path,
                "/".join(names),
                " ".join(sizes),
                " ".join([stamp] * len(names)),
                {name: problem for name in names if (problem := members[name].problem)},
            )


class TooMuch(Exception):
    """An archive costs more than it may."""


def _refused(problem: str) -> Member:
    return Member(0, problem=problem)


def look_into(path: str) -> tuple[Archive | None, os.stat_result]:
    """What an archive holds, and what the file system says of it; None where it is none.

    Raises:
        OSError: it cannot be opened.
    """
    file, status = open_file(path)
    with file:
        archive = _index_of(path, status)
        if not archive.members and (archive.problem is None or not _begins_as_one(path, file)):
            return None, status
    return archive, status


def _begins_as_one(path: str, file: FileIO) -> bool:
    at, magic = _MAGIC[path[path.rindex(".") :].lower()]
    return os.pread(file.fileno(), len(magic), at) == magic


@lru_cache(maxsize=4)
def _index(path: str, *identity: int) -> Archive:
    """What an archive holds, looked up once while it is the same file."""
    archive = Archive()
    file, status = open_file(path)
    most = max(MOST_UNPACKED, MOST_RATIO * status.st_size)
    try:
        if path.lower().endswith(".zip"):
            with file:
                _index_zip(archive, file, most)
        elif path.lower().endswith(".tar"):
            with file:
                _index_tar(archive, file)
        else:
            with Inflated(file, GZIP, most, archive.states) as unpacked:
                _index_tar(archive, unpacked)
    except TooMuch as error:
        archive.problem = f"archive_over_bounds: {error}"
    except OSError as error:
        kind = "over_bounds" if error.errno == errno.EFBIG else "damaged"
        archive.problem = f"archive_{kind}: {error.strerror}"
    except _DAMAGES as error:
        archive.problem = f"archive_damaged: {type(error).__name__}"
    if archive.problem is not None and archive.members:
        last = next(reversed(archive.members))
        archive.members[last] = _refused("member_refused: the archive ends within it")
    return archive


class _Guarded:
    """A stream as the libraries take it, of which no more can be read at once than it may."""

    def __init__(self, stream: RawIOBase, most: int, what: str) -> None:
        self._stream, self._most, self._what = stream, most, what
        self._digits = 0
        self.seek, self.tell = stream.seek, stream.tell

    def seekable(self) -> bool:
        return True

    def read(self, n: int = -1) -> bytes:
        if n > self._most:
            raise TooMuch(f"{self._what} of {n:,} bytes")
        left = self._most if n < 0 else n
        pieces = []
        while left > 0 and (piece := self._stream.read(left)):
            pieces.append(piece)
            left -= len(piece)
        found = b"".join(pieces)
        self._digits += sum(map(len, _LONG_NUMBERS.findall(found)))
        if self._digits > _MOST_DIGITS:  # tarfile takes the square of these
            raise TooMuch(f"{self._what} of nothing but digits")
        return found


def _index_zip(archive: Archive, file: RawIOBase, most: int) -> None:
    n_bytes = file.seek(0, os.SEEK_END)
    guarded: Any = _Guarded(file, MOST_DIRECTORY_BYTES, "a directory")
    with zipfile.ZipFile(guarded) as opened:
        infos = opened.infolist()
    if (in_all := sum(info.file_size for info in infos)) > most:
        raise TooMuch(f"{in_all:,} bytes unpacked")
    for info in infos:
        if info.is_dir():
            continue
        start, size, packed = info.header_offset, info.file_size, info.compress_size
        if start + packed > n_bytes:
            member = _refused("member_refused: the archive ends within it")
        elif info.flag_bits & 0x1:
            member = _refused("encrypted: a member that only a password opens")
        elif stat.S_ISLNK(info.external_attr >> 16):
            member = _refused("not_a_file: a link in an archive")
        elif info.compress_type == zipfile.ZIP_STORED and packed == size:
            member = Member(size, start)
        elif info.compress_type == zipfile.ZIP_DEFLATED:
            member = Member(size, start, packed)
        else:
            member = _refused(f"packed_otherwise: by method {info.compress_type} of zip")
        archive.add(info.filename, member)


def _index_tar(archive: Archive, stream: RawIOBase) -> None:
    guarded: Any = _Guarded(stream, MOST_HEADER_BYTES, "a header")
    n = 0
    opened: Any
    with tarfile.open(fileobj=guarded, mode="r:") as opened:
        while (info := opened.next()) is not None:
            opened.members.clear()  # it would keep them all
            n += 1
            if n > 2 * MOST_MEMBERS:
                raise TooMuch(f"more than {2 * MOST_MEMBERS:,} entries")
            if info.isdir():
                continue
            if not info.isreg():
                member = _refused("not_a_file: neither a file nor a folder")
            elif info.issparse():
                member = _refused("packed_otherwise: a sparse file")
            else:
                member = Member(info.size, info.offset_data)
            archive.add(info.name, member)
        # Where it is cut between two members, tarfile says nothing.
        stream.seek(opened.offset)
        end = guarded.read(_TAR_BLOCK)
    if len(end) < _TAR_BLOCK or end.strip(b"\0"):
        archive.problem = "archive_damaged: it has no end"


class MemberStream:
    """A member of an archive; it has the archive's time."""

    def __init__(self, raw: RawIOBase, file: FileIO, status: os.stat_result, size: int) -> None:
        self.raw: Any = raw
        self.facts = Facts(size, status.st_mtime_ns)
        self._file, self._size = file, status.st_size

    def now(self) -> Facts:
        status = os.fstat(self._file.fileno())
        is_same = status.st_size == self._size
        return Facts(self.facts.size_bytes if is_same else -1, status.st_mtime_ns)


def open_member(place: str) -> MemberStream:
    """Open a member of an archive, `/data/study.zip/CT/IM1`.

    Raises:
        OSError: it cannot be read; ENOTDIR where there is no archive, ENOENT where it has no such
            member.
    """
    path, name = _split(place)
    file, status = open_file(path)
    try:
        archive, member = _member(path, name, status)
        return MemberStream(_bytes_of(path, file, archive, member), file, status, member.size)
    except BaseException:
        file.close()
        raise


def facts_of_member(place: str) -> Facts:
    """What a member is like, whether or not it can be opened.

    Raises:
        OSError: as `open_member`.
    """
    path, name = _split(place)
    status = os.stat(path)  # noqa: PTH116
    return Facts(_member(path, name, status)[1].size, status.st_mtime_ns)


def _member(path: str, name: str, status: os.stat_result) -> tuple[Archive, Member]:
    archive = _index_of(path, status)
    member = archive.members.get(name)
    if member is None or member.problem is not None:
        raise OSError(errno.ENOENT, "no such member in the archive")
    return archive, member


def _index_of(path: str, status: os.stat_result) -> Archive:
    return _index(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _split(place: str) -> tuple[str, str]:
    """The archive and the member of a place."""
    path = place
    while (cut := path.rfind("/")) > 0:
        path = path[:cut]
        try:
            if stat.S_ISREG(os.stat(path).st_mode) and IS_ARCHIVE.search(path):  # noqa: PTH116
                return path, place[cut + 1 :]
        except NotADirectoryError:
            continue
        break
    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))


def _bytes_of(path: str, file: FileIO, archive: Archive, member: Member) -> RawIOBase:
    lowered = path.lower()
    if lowered.endswith(".tar"):
        return Window(file, member.start, member.size)
    if not lowered.endswith(".zip"):
        most = member.start + member.size  # none behind it is asked for
        unpacked = Inflated(file, GZIP, most + (1 << 20), archive.states)
        return Window(unpacked, member.start, member.size)
    head = os.pread(file.fileno(), _LOCAL_HEAD, member.start)
    if len(head) < _LOCAL_HEAD or not head.startswith(b"PK\3\4"):
        raise OSError(errno.EIO, "the archive is damaged")
    lengths = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    start = member.start + _LOCAL_HEAD + lengths
    if member.n_packed is None:
        return Window(file, start, member.size)
    packed = Window(file, start, member.n_packed)
    return Window(Inflated(packed, RAW, member.size), 0, member.size)
