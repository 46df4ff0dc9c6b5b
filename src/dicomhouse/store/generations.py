"""Generations: all that a run makes is one folder, published by replacing one link.

Readers resolve `current` once and hold a shared lock on what they found; removal passes locked
generations over. One builder at a time holds the warehouse's own lock, which the kernel takes
back from a process that is gone.

A warehouse bears a mark, and nothing is written, removed or renamed in a folder without it. What
bears it may still come from someone else: links are not followed, and records are believed only
where they have the form of ours.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import IO, Any

from dicomhouse.errors import (
    StorageError,
    UsageError,
    WarehouseBusy,
    WarehouseNotFound,
    WarehouseTooNew,
)
from dicomhouse.filesystem import open_file, replace_file, replacing, sync
from dicomhouse.lake.forms import RUN, has_form, read_json
from dicomhouse.ownership import make_private_folder, may_be_written_by_others
from dicomhouse.versions import FORMAT

BUILD_LOCK = ".build-lock"
"""What the one who builds a warehouse holds, in its folder."""
_PUBLISHED = "run.json"
_REMOVED = ".removed-"
_REFRESH = ".refresh"
_NUMBER = re.compile(r"[0-9]{6,18}")
_LAST_WORDS_SECONDS = 10
_GOING_SECONDS = 1
"""In which a process that was killed has given back its locks."""
_NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
_LINKS = {name: f"current/{name}" for name in ("lake", "warehouse.duckdb", "report")}
_MARK = ".dicomhouse"
_MARKED = re.compile(rb"dicomhouse warehouse ([0-9]{1,9})\n")
_LAYOUT = 1
"""Of a warehouse's folder, as its mark has it; what a generation's has is `versions.FORMAT`."""
_ROOM = re.compile(
    r"\.lock|\.refresh|\.?run\.json(\..+\.tmp)?|lake|parts|work|scratch|report|spill"
    r"|\.spill-[0-9]+|models\.log|warehouse\.duckdb(\..+)?"
)
"""What a run makes in the folder of its generation."""
_DATABASE = re.compile(rb".{8}DUCK", re.DOTALL)
_LEAST_DATABASE = 3 * 4096
"""Bytes of an empty one: DuckDB's headers."""
_read_here: list[Path] = []
"""The folders of the generations that this process reads."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Generation:
    """One folder of `generations/`."""

    folder: Path

    @property
    def number(self) -> int:
        return int(self.folder.name)

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    @property
    def database(self) -> Path:
        return self.folder / "warehouse.duckdb"

    @property
    def report(self) -> Path:
        return self.folder / "report"

    @property
    def parts(self) -> Path:
        """The records of the lake's parts."""
        return self.folder / "parts"

    @property
    def work(self) -> Path:
        """Work lists of a run, gone once it is published."""
        return self.folder / "work"

    @property
    def measured_pixels(self) -> Path:
        """What a run has measured of pixels, batch by batch, until it is published."""
        return self.work / "pixels"

    @property
    def scratch(self) -> Generation:
        """Another folder of this form within it, for files that are read to be compared."""
        return Generation(self.folder / "scratch")

    @property
    def has_parts(self) -> bool:
        return next(self.parts.glob("[!.]*.json"), None) is not None

    @property
    def is_refresh(self) -> bool:
        """Whether its run reads every file again, whatever was known of it."""
        return (self.folder / _REFRESH).exists()

    def mark_as_refresh(self) -> None:
        (self.folder / _REFRESH).touch()

    @property
    def is_published(self) -> bool:
        return os.path.lexists(self.folder / _PUBLISHED)

    def run(self) -> dict[str, Any]:
        """What `run.json` says of the run that made it.

        Raises:
            ValueError: it does not say what it should.
            OSError: it is not there, a link, or cannot be read.
        """
        record = read_json(self.folder / _PUBLISHED)
        if has_form(record, {"format": int, "dicomhouse": str}) and record["format"] > FORMAT:
            return dict(record)
        if not has_form(record, RUN) or f"{record['generation']:06d}" != self.folder.name:
            raise ValueError("not what a run says of itself")
        return dict(record)

    def damage(self) -> str | None:
        """Which of the things that a published generation has cannot be what it was; None if none.

        Raises:
            PermissionError: nothing can be told.
        """
        try:
            self.run()
        except PermissionError:
            raise
        except (ValueError, OSError):
            return _PUBLISHED
        if not _is_database(self.database):
            return self.database.name
        log = self.database.with_name(f"{self.database.name}.wal")
        if _status(log) is not None and not _is_plain(log):  # DuckDB would wait for a pipe
            return log.name
        return None if _is_folder(self.lake) else self.lake.name

    @property
    def is_ours(self) -> bool:
        """Whether an unpublished one is what a run of ours leaves: nothing else is ever removed."""
        names = {path.name for path in self.folder.iterdir()}
        return not names or (_is_plain(self.folder / ".lock") and all(map(_ROOM.fullmatch, names)))


def _lock(file: IO[bytes] | IO[str], how: int) -> None:
    """Lock a file of the warehouse's, or raise at once.

    Raises:
        OSError: another process holds it.
        StorageError: the file system knows no locks.
    """
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        raise StorageError(
            f"the file system of {file.name} has no locks, which keep builds and readers apart: "
            f"{error.strerror}. Choose a folder of another one for the warehouse."
        ) from None


class ReadLock:
    """A shared lock on a generation, held until closed or the process ends."""

    def __init__(self, generation: Generation) -> None:
        self._folder = generation.folder
        self._file, _ = open_file(generation.folder / ".lock", os.O_NOFOLLOW)
        _lock(self._file, fcntl.LOCK_SH)
        _read_here.append(self._folder)

    def close(self) -> None:
        if not self._file.closed:
            self._file.close()
            _read_here.remove(self._folder)


@contextmanager
def at_work(generation: Generation) -> Iterator[None]:
    """Held by a worker while it writes: whoever gives the generation up waits for it.

    Raises:
        OSError: it was given up.
    """
    lock = ReadLock(generation)
    try:
        yield
    finally:
        lock.close()


def published(warehouse: Path) -> list[Generation]:
    """The published generations that are not damaged, oldest first."""
    return [one for one in _all(warehouse) if one.damage() is None]


def _all(warehouse: Path) -> list[Generation]:
    """Published or not, oldest first; what bears another name than a number is none."""
    if not _is_folder(warehouse / "generations"):
        return []
    folders = (warehouse / "generations").iterdir()
    numbered = [Generation(one) for one in folders if _NUMBER.fullmatch(one.name)]
    there = [generation for generation in numbered if _is_folder(generation.folder)]
    return sorted(there, key=lambda generation: generation.number)


def _is_folder(path: Path) -> bool:
    """Whether it is a folder, and no link to one."""
    status = _status(path)
    return status is not None and S_ISDIR(status.st_mode)


def _is_plain(path: Path, least: int = 0) -> bool:
    """Whether it is a file of so many bytes or more, and no link to one."""
    status = _status(path)
    return status is not None and S_ISREG(status.st_mode) and status.st_size >= least


def _is_database(path: Path) -> bool:
    """Whether it looks like a DuckDB file, as far as can be told without opening it as one.

    To close a file takes all locks on it from a process, those of DuckDB's connections too. So the
    mark in it is looked at only where this process does not read the generation already.
    """
    if not _is_plain(path, _LEAST_DATABASE):
        return False
    if path.parent in _read_here:
        return True
    with open_file(path, os.O_NOFOLLOW)[0] as file:
        return _DATABASE.match(file.read(12)) is not None


def _status(path: Path) -> os.stat_result | None:
    """What the file system says of just this; None where it is not there.

    Raises:
        PermissionError: it does not say.
    """
    try:
        return path.lstat()
    except PermissionError:
        raise
    except OSError:
        return None


def current(warehouse: Path) -> Generation | None:
    """What readers see; None where nothing was published."""
    return _resolve(warehouse.resolve())[0]


def _resolve(warehouse: Path) -> tuple[Generation | None, str | None]:
    """What readers see, and why it is another generation than `current` says, where it is."""
    target = _target(warehouse)
    while True:
        generation = _named(warehouse, target)
        damage = "current" if generation is None else generation.damage()
        if damage is None:
            return generation, None
        before, target = target, _target(warehouse)
        if target == before:  # else it was superseded, and perhaps removed, meanwhile
            break
    rest = published(warehouse)
    if target is None or not rest:
        return (rest[-1] if rest else None), None
    what = warehouse if generation is None else generation.folder
    words = f"{what} is damaged ({damage}): generation {rest[-1].number} takes its place."
    return rest[-1], words


def _target(warehouse: Path) -> str | None:
    return _target_of(warehouse / "current")


def _target_of(link: Path) -> str | None:
    """Where a link leads; None where it is none, as in a copy that has no links."""
    try:
        return os.readlink(link)  # noqa: PTH115 -- the text as it is
    except PermissionError:
        raise
    except OSError:
        return None


def _named(warehouse: Path, target: str | None) -> Generation | None:
    """The generation that `current` names: one of this warehouse's, by nothing but its number."""
    folder, _, name = (target or "").rpartition("/")
    if folder != "generations" or not _NUMBER.fullmatch(name):
        return None
    generation = Generation(warehouse / folder / name)
    is_own = _is_folder(generation.folder.parent) and _is_folder(generation.folder)
    return generation if is_own else None


def acquire(warehouse: Path, number: int | None = None) -> tuple[Generation, ReadLock]:
    """Resolve the current generation once (or the one asked for) and lock it for reading.

    Raises:
        WarehouseNotFound: nothing was published there, or not that generation.
        WarehouseTooNew: a later dicomhouse made it.
        StorageError: it cannot be read.
    """
    try:
        return _acquire(warehouse, number)
    except PermissionError as error:
        raise StorageError(
            f"cannot read {warehouse}: {error.strerror}. It is its owner's alone."
        ) from error


def _acquire(warehouse: Path, number: int | None) -> tuple[Generation, ReadLock]:
    root = Path(os.path.realpath(warehouse))
    failure: OSError | None = None
    for _ in range(10):  # between resolving and locking it may be superseded and removed
        words = None
        if number is None:
            generation, words = _resolve(root)
        else:
            generation = _named(root, f"generations/{number:06d}")
        if generation is None or not generation.is_published:
            break
        if damage := generation.damage():
            if not generation.is_published:
                continue
            raise StorageError(
                f"generation {number} in {warehouse} is damaged ({damage}). Take another one."
            )
        try:
            lock = ReadLock(generation)
        except OSError as error:
            failure = error
            continue
        if generation.is_published:
            _check_format(generation)
            if words is not None:
                _log.warning(words)
            return generation, lock
        lock.close()  # it was removed before we held it
    if failure is not None and generation is not None and generation.is_published:
        raise StorageError(f"cannot lock {generation.folder} for reading: {failure.strerror}.")
    if number is not None:
        kept = ", ".join(str(g.number) for g in published(root)) or "none"
        raise WarehouseNotFound(f"no generation {number} in {warehouse}; there are: {kept}.")
    raise WarehouseNotFound(
        f"no warehouse in {warehouse}. Build one: dicomhouse build FOLDER --warehouse {warehouse}"
    )


def _check_format(generation: Generation) -> None:
    made = generation.run()
    if made.get("format", 0) > FORMAT:
        raise WarehouseTooNew(
            f"{generation.folder} was made by dicomhouse {made.get('dicomhouse')} in a form that "
            f"this one does not know (format {made['format']}, known up to {FORMAT}). "
            "Install that release, or a later one."
        )


def is_building(warehouse: Path) -> bool:
    """Whether a process holds the builder's lock; who takes it meanwhile waits for a moment."""
    try:
        with open_file(warehouse / BUILD_LOCK, os.O_NOFOLLOW)[0] as lock:
            _lock(lock, fcntl.LOCK_SH)
    except OSError as error:
        return error.errno in (errno.EAGAIN, errno.EACCES)
    except StorageError:
        return False
    return False


@contextmanager
def building(warehouse: Path) -> Iterator[Generation]:
    """Hold the builder's lock and give the folder of the next generation, empty.

    Folders that earlier runs left unpublished without a whole part are removed, and so is this
    one when it ends like that: their processes are gone, or they would hold the lock.

    Raises:
        UsageError: the folder's path would be read as something else, or is not text; or the
            folder holds other files, is another user's, or others may write there.
        WarehouseBusy: another process builds this warehouse.
        WarehouseTooNew: a later dicomhouse made it.
        StorageError: the folder cannot be written.
    """
    _check_place(warehouse)
    with _storage_errors(warehouse):
        root = warehouse.resolve()
        _take(root)
        # Unbuffered: what a full disk refuses is not tried again as the file is closed.
        lock, status = open_file(root / BUILD_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
    with lock:
        if status.st_nlink != 1:
            raise UsageError(f"{root / '.build-lock'} is another file too, by a hard link.")
        _lock_for_building(lock, warehouse)
        there = published(root)
        for generation in there:
            _check_format(generation)
        with _storage_errors(warehouse):
            _, words = _resolve(root)
            if words is not None:
                _log.warning(words)
            _mend_copy(root, there)
            if there and _named(root, _target(root)) != there[-1]:
                _point_to(root, there[-1])  # a run was killed at the last moment
            folders = root / "generations"
            make_private_folder(folders)
            for removed in folders.glob(f"{_REMOVED}*"):
                if _NUMBER.fullmatch(removed.name.removeprefix(_REMOVED)):
                    shutil.rmtree(removed)  # which follows no link
            numbers = [int(one.name) for one in folders.iterdir() if _NUMBER.fullmatch(one.name)]
            folder = folders / f"{max(numbers, default=0) + 1:06d}"
            for leftover in leftovers(root):
                if not leftover.has_parts:
                    give_up(leftover)
            create(Generation(folder))
        generation = Generation(folder)
        try:
            yield generation
        finally:
            if not generation.is_published and not generation.has_parts:
                shutil.rmtree(folder, ignore_errors=True)


def _take(root: Path) -> None:
    """Make a warehouse of a new folder, give one of an earlier release its mark, or leave it alone.

    Raises:
        UsageError: it is somebody's folder, or others may write to it.
        WarehouseTooNew: a later dicomhouse made it.
        OSError: it cannot be read or written.
    """
    is_marked = os.path.lexists(root / _MARK)
    if not is_marked and _things(root):
        _check_unmarked(root)
    elif not is_marked:
        make_private_folder(root)
    _check_owner(root, root / "generations")
    if not is_marked:
        replace_file(root / _MARK, f"dicomhouse warehouse {_LAYOUT}\n".encode())
    with open_file(root / _MARK, os.O_NOFOLLOW)[0] as file:
        marked = _MARKED.fullmatch(file.read(100))
    if marked is None:
        raise UsageError(f"{root / _MARK} is damaged. Choose another folder, or remove that one.")
    if int(marked[1]) > _LAYOUT:
        raise WarehouseTooNew(
            f"{root} was made by a later dicomhouse, in a form that this one does not know. "
            "Install that release."
        )


def _mend_copy(root: Path, there: Sequence[Generation]) -> None:
    """Remove what a copy that followed links has in their places, which links take again.

    Raises:
        UsageError: something stands there that is not a copy of a generation's.
    """
    places = [
        (root / name, inner)
        for name, inner in (("current", ""), *((name, name) for name in _LINKS))
        if _status(root / name) is not None and not (root / name).is_symlink()
    ]
    for place, inner in places:
        here = _sizes(place)
        if not any(here == _sizes(generation.folder / inner) for generation in there):
            raise UsageError(
                f"{place} is neither a link nor the copy of what one leads to, and stays as it is. "
                "Move it elsewhere, then build again."
            )
    for place, _ in places:
        shutil.rmtree(place) if _is_folder(place) else place.unlink()
    if places:
        names = ", ".join(place.name for place, _ in places)
        _log.warning("%s is a copy in which links became files: links again now: %s.", root, names)


def _sizes(path: Path) -> dict[str, int | None]:
    """What there is at a path and below, and the bytes of each plain file."""
    found = [path, *path.rglob("*")] if _is_folder(path) else [path]
    return {
        str(one.relative_to(path)): one.lstat().st_size if _is_plain(one) else None
        for one in found
        if _status(one) is not None
    }


def _things(root: Path) -> set[str]:
    """What lies in a folder, but for hidden files; nothing where there is none."""
    if not root.exists():
        return set()
    return {path.name for path in root.iterdir() if not path.name.startswith(".")} - {"lost+found"}


def _check_unmarked(root: Path) -> None:
    """Raise UsageError where it is not certain that a folder without a mark is a warehouse.

    It is one of an earlier release where it holds what such a one holds and nothing else, and
    `current` names a generation, and one at least is whole.
    """
    is_ours = (
        _things(root) <= {"generations", "current", *_LINKS}
        and all(_target_of(root / name) in (None, target) for name, target in _LINKS.items())
        and _named(root, _target(root)) is not None
        and published(root) != []
    )
    if not is_ours:
        raise UsageError(
            f"{root} is not a warehouse and holds other files, which stay as they are. "
            "Give a new or empty folder."
        )


def _check_owner(*folders: Path) -> None:
    """Raise UsageError where somebody else could change what a run of ours reads and removes."""
    for folder in folders:
        status = _status(folder)
        if status is None:
            continue
        if S_ISLNK(status.st_mode):
            raise UsageError(
                f"{folder} is a link, which a build does not follow. Put the folder in its place."
            )
        if status.st_uid != os.geteuid():
            raise UsageError(
                f"{folder} is another user's (uid {status.st_uid}), who may write there. Build as "
                "that user, or choose another folder."
            )
        if may_be_written_by_others(status):
            raise UsageError(
                f"others may write to {folder} (mode {status.st_mode & 0o7777:o}). Look what is "
                "there, then chmod go-w, or choose another folder."
            )


def _check_place(warehouse: Path) -> None:
    """Raise UsageError where a warehouse's folder cannot be."""
    partition = next((part for part in warehouse.resolve().parts if "=" in part), None)
    if partition is not None:
        raise UsageError(
            f"the warehouse cannot lie in a folder named {partition}: readers of Parquet take "
            "NAME=VALUE for a column of every table. Choose another folder."
        )
    if odd := next((letter for letter in "\\?" if letter in str(warehouse.resolve())), None):
        raise UsageError(
            f"the path of the warehouse cannot hold {odd}, which DuckDB reads as something else. "
            "Choose another folder."
        )
    try:
        str(warehouse.resolve()).encode()
    except UnicodeEncodeError:
        raise UsageError(
            "the path of the warehouse is not valid UTF-8, which Parquet and DuckDB need. "
            "Choose another folder."
        ) from None


@contextmanager
def _storage_errors(warehouse: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot write to {warehouse}: {error.strerror}.") from error


def leftovers(warehouse: Path, but: Generation | None = None) -> list[Generation]:
    """The folders that runs left unpublished, newest first."""
    return [
        generation
        for generation in reversed(_all(warehouse.resolve()))
        if generation != but and not generation.is_published and generation.is_ours
    ]


def give_up(generation: Generation) -> None:
    """Remove an unpublished generation, once no worker of its dead run writes there.

    Raises:
        StorageError: one still does, after ten seconds.
        OSError: it cannot be removed.
    """
    deadline = time.monotonic() + _LAST_WORDS_SECONDS
    with open_file(generation.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)[0] as lock:
        while True:
            try:
                _lock(lock, fcntl.LOCK_EX)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise StorageError(
                        f"a worker of an earlier run still writes to {generation.folder}. "
                        "End that process, then build again."
                    ) from error
                time.sleep(0.05)
        _remove(generation)


def create(generation: Generation) -> None:
    """Make a generation's folder, with what readers and workers lock."""
    make_private_folder(generation.folder)
    (generation.folder / ".lock").touch()
    for folder in (generation.parts, generation.work / "extract", generation.work / "rewrite"):
        folder.mkdir(parents=True)


def take_measured_pixels(leftover: Generation, generation: Generation) -> None:
    """Let a run have what another measured, which ended before it was published."""
    for path in sorted(leftover.measured_pixels.glob("[0-9]*.parquet")):
        generation.measured_pixels.mkdir(parents=True, exist_ok=True)
        path.replace(generation.measured_pixels / f"{leftover.folder.name}-{path.name}")


def discard(scratch: Generation) -> None:
    """Remove a folder within an unpublished generation that nobody works in any more."""
    shutil.rmtree(scratch.folder)


def _remove(generation: Generation) -> None:
    """Take a generation away in one step, then its files one by one."""
    removed = generation.folder.with_name(f"{_REMOVED}{generation.folder.name}")
    generation.folder.rename(removed)
    shutil.rmtree(removed)


def _lock_for_building(lock: FileIO, warehouse: Path) -> None:
    deadline = time.monotonic() + _GOING_SECONDS
    while True:
        try:
            _lock(lock, fcntl.LOCK_EX)
            break
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            if time.monotonic() > deadline:
                lock.seek(0)
                holder = lock.read(20).decode(errors="replace").strip() or "unknown"
                raise WarehouseBusy(
                    f"{warehouse} is being built by process {holder}. Wait for it to end, or stop "
                    "it."
                ) from None
            time.sleep(0.05)
    with _storage_errors(warehouse):
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()).encode())


def publish(warehouse: Path, generation: Generation, record: dict[str, Any]) -> None:
    """Make a finished generation the current one, in one step, and never change it again.

    With its record it counts as published: should the process be killed before the link is
    replaced, the next run replaces it.
    """
    for folder in (generation.work, generation.scratch.folder):
        shutil.rmtree(folder, ignore_errors=True)
    if generation.database.exists():
        generation.database.chmod(0o400)
    # Parts are on the disk since they have their names; the folders' entries for them may not be.
    made = [generation.database, *generation.report.glob("*")]
    folders = [path for path in generation.folder.rglob("*") if path.is_dir()]
    with replacing(generation.folder / _PUBLISHED) as private:
        private.write_text(json.dumps(record, indent=1) + "\n")
        for path in (*made, *folders):
            if path.exists():
                sync(path)
    sync(generation.folder)
    sync(generation.folder.parent)
    try:
        _point_to(warehouse, generation)
    except OSError:  # readers never saw it: the next run takes its parts
        with suppress(OSError):
            (generation.folder / _PUBLISHED).unlink()
        raise


def _point_to(warehouse: Path, generation: Generation) -> None:
    """Replace the link, last of all."""
    for name, target in _LINKS.items():
        if not (warehouse / name).is_symlink():
            _replace_link(warehouse / name, target)
    _replace_link(warehouse / "current", f"generations/{generation.folder.name}")


def _replace_link(link: Path, target: str) -> None:
    private = link.with_name(f".{link.name}.new")
    private.unlink(missing_ok=True)
    private.symlink_to(target)
    private.replace(link)


def prune(warehouse: Path, keep: int) -> None:
    """Remove the oldest generations beyond `keep`, passing over those that somebody reads.

    One whose lock is not a file of ours stays too.
    """
    for generation in published(warehouse)[:-keep]:
        if not _is_plain(generation.folder / ".lock"):
            continue
        with open_file(generation.folder / ".lock", os.O_NOFOLLOW)[0] as lock:
            try:
                _lock(lock, fcntl.LOCK_EX)
            except OSError:
                continue
            _remove(generation)
