"""Generations: all that a run makes is one folder, published by replacing one link.

Readers resolve `current` once and hold a shared lock on what they found; removal passes locked
generations over. One builder at a time holds the warehouse's own lock, which the kernel takes
back from a process that is gone.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import IO, Any

from dicomhouse.errors import (
    StorageError,
    UsageError,
    WarehouseBusy,
    WarehouseNotFound,
    WarehouseTooNew,
)
from dicomhouse.lake.layout import COLUMNS_PART
from dicomhouse.lake.records import sync
from dicomhouse.versions import FORMAT

_PUBLISHED = "run.json"
_REMOVED = ".removed-"
_REFRESH = ".refresh"
_NUMBER = re.compile(r"[0-9]{6,}")
_LAST_WORDS_SECONDS = 10
_NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
_LINKS = {name: f"current/{name}" for name in ("lake", "warehouse.duckdb", "report")}


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

    def run(self) -> dict[str, Any]:
        """What `run.json` says of the run that made it."""
        record: dict[str, Any] = json.loads((self.folder / _PUBLISHED).read_text())
        return record


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
        self._file = (generation.folder / ".lock").open("rb")
        _lock(self._file, fcntl.LOCK_SH)

    def close(self) -> None:
        self._file.close()


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
    """The published generations, oldest first."""
    return [one for one in _all(warehouse) if (one.folder / _PUBLISHED).exists()]


def _all(warehouse: Path) -> list[Generation]:
    """Published or not, oldest first; what bears another name than a number is none."""
    folders = (warehouse / "generations").glob("[0-9]*")
    numbered = (Generation(folder) for folder in folders if _NUMBER.fullmatch(folder.name))
    return sorted(numbered, key=lambda generation: generation.number)


def current(warehouse: Path) -> Generation | None:
    """What readers see; None where nothing was published."""
    folder = Path(os.path.realpath(warehouse / "current"))
    return Generation(folder) if (folder / _PUBLISHED).is_file() else None


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
    for _ in range(10):  # between resolving and locking it may be superseded and removed
        if number is None:
            folder = Path(os.path.realpath(warehouse / "current"))
        else:
            folder = warehouse.resolve() / "generations" / f"{number:06d}"
        if not (folder / _PUBLISHED).is_file():
            if number is None and folder != Path(os.path.realpath(warehouse / "current")):
                continue
            break
        generation = Generation(folder)
        with suppress(OSError):
            lock = ReadLock(generation)
            if (folder / _PUBLISHED).is_file():
                _check_format(generation)
                return generation, lock
            lock.close()  # it was removed before we held it
    if number is not None:
        kept = ", ".join(str(g.number) for g in published(warehouse)) or "none"
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


@contextmanager
def building(warehouse: Path) -> Iterator[Generation]:
    """Hold the builder's lock and give the folder of the next generation, empty.

    Folders that earlier runs left unpublished without a whole part are removed, and so is this
    one when it ends like that: their processes are gone, or they would hold the lock.

    Raises:
        UsageError: the folder's path would be read as something else, or is no text; or the
            folder holds other files.
        WarehouseBusy: another process builds this warehouse.
        WarehouseTooNew: a later dicomhouse made it.
        StorageError: the folder cannot be written.
    """
    _check_place(warehouse)
    with _told(warehouse):
        warehouse.mkdir(parents=True, exist_ok=True)
        # Unbuffered: what a full disk refuses is not tried again as the file is closed.
        lock = (warehouse / ".build-lock").open("a+b", buffering=0)
    with lock:
        _lock_for_building(lock, warehouse)
        there = published(warehouse.resolve())
        for generation in there:
            _check_format(generation)
        with _told(warehouse):
            if there and there[-1] != current(warehouse):  # a run was killed at the last moment
                _point_to(warehouse, there[-1])
            for removed in (warehouse / "generations").glob(f"{_REMOVED}*"):
                shutil.rmtree(removed)
        numbers = [generation.number for generation in _all(warehouse)]
        folder = warehouse.resolve() / "generations" / f"{max(numbers, default=0) + 1:06d}"
        with _told(warehouse):
            for leftover in leftovers(warehouse):
                if not leftover.has_parts:
                    give_up(leftover)
            create(Generation(folder))
        generation = Generation(folder)
        try:
            yield generation
        finally:
            if not (folder / _PUBLISHED).exists() and not generation.has_parts:
                shutil.rmtree(folder, ignore_errors=True)


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
            "the path of the warehouse is no UTF-8, which Parquet and DuckDB need. "
            "Choose another folder."
        ) from None
    with _told(warehouse):
        there = {path.name for path in warehouse.glob("[!.]*")} - {"lost+found"}
    if there and "generations" not in there:
        raise UsageError(
            f"{warehouse} is no warehouse and holds other files. Give a new or empty folder."
        )


@contextmanager
def _told(warehouse: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot write to {warehouse}: {error.strerror}.") from error


def leftovers(warehouse: Path, but: Generation | None = None) -> list[Generation]:
    """The folders that runs left unpublished, newest first."""
    return [
        generation
        for generation in reversed(_all(warehouse.resolve()))
        if generation != but and not (generation.folder / _PUBLISHED).exists()
    ]


def give_up(generation: Generation) -> None:
    """Remove an unpublished generation, once no worker of its dead run writes there.

    Raises:
        StorageError: one still does, after ten seconds.
        OSError: it cannot be removed.
    """
    deadline = time.monotonic() + _LAST_WORDS_SECONDS
    with (generation.folder / ".lock").open("a") as lock:
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
    generation.folder.mkdir(parents=True)
    (generation.folder / ".lock").touch()
    for folder in (generation.parts, generation.work / "extract", generation.work / "rewrite"):
        folder.mkdir(parents=True)


def discard(scratch: Generation) -> None:
    """Remove a folder within an unpublished generation that nobody works in any more."""
    shutil.rmtree(scratch.folder)


def _remove(generation: Generation) -> None:
    """Take a generation away in one step, then its files one by one."""
    removed = generation.folder.with_name(f"{_REMOVED}{generation.folder.name}")
    generation.folder.rename(removed)
    shutil.rmtree(removed)


def _lock_for_building(lock: FileIO, warehouse: Path) -> None:
    try:
        _lock(lock, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        lock.seek(0)
        holder = lock.read().decode().strip() or "unknown"
        raise WarehouseBusy(
            f"{warehouse} is being built by process {holder}. Wait for it to end, or stop it."
        ) from None
    with _told(warehouse):
        lock.truncate(0)
        lock.write(str(os.getpid()).encode())


def publish(warehouse: Path, generation: Generation, record: dict[str, Any]) -> None:
    """Make a finished generation the current one, in one step, and never change it again.

    With its record it counts as published: should the process be killed before the link is
    replaced, the next run replaces it.
    """
    for folder in (generation.work, generation.scratch.folder):
        shutil.rmtree(folder, ignore_errors=True)
    private = generation.folder / f".{_PUBLISHED}"
    private.write_text(json.dumps(record, indent=1) + "\n")
    # Parts are on the disk since they have records; the folders' entries for them may not be.
    made = [private, generation.database, *generation.report.glob("*")]
    made += generation.lake.rglob(COLUMNS_PART)
    folders = [path for path in generation.folder.rglob("*") if path.is_dir()]
    for path in (*made, *folders):
        if path.exists():
            sync(path)
    private.rename(generation.folder / _PUBLISHED)
    sync(generation.folder)
    sync(generation.folder.parent)
    _point_to(warehouse, generation)


def _point_to(warehouse: Path, generation: Generation) -> None:
    _replace_link(warehouse / "current", f"generations/{generation.folder.name}")
    for name, target in _LINKS.items():
        if not (warehouse / name).is_symlink():
            _replace_link(warehouse / name, target)


def _replace_link(link: Path, target: str) -> None:
    private = link.with_name(f".{link.name}.new")
    private.unlink(missing_ok=True)
    private.symlink_to(target)
    private.replace(link)


def prune(warehouse: Path, keep: int) -> None:
    """Remove the oldest generations beyond `keep`, passing over those that somebody reads."""
    for generation in published(warehouse)[:-keep]:
        with (generation.folder / ".lock").open("rb") as lock:
            try:
                _lock(lock, fcntl.LOCK_EX)
            except OSError:
                continue
            _remove(generation)
