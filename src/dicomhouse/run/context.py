"""What every step of a run stands on, and how a run begins and ends."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from re import fullmatch
from typing import Any
from uuid import uuid4

from dicomhouse import versions
from dicomhouse.errors import DicomhouseError, StorageError
from dicomhouse.lake import keys
from dicomhouse.processes import is_interruption
from dicomhouse.run.checks import check_settings
from dicomhouse.run.cluster import cluster_workers
from dicomhouse.run.progress import Clock, Lines, Say, Show, shown
from dicomhouse.run.workers import Workers, local_workers
from dicomhouse.settings import Settings
from dicomhouse.sources.source import Source
from dicomhouse.store import failures, generations, increment, waivers
from dicomhouse.store.generations import Generation
from dicomhouse.warehouse.expected import digest as listed_digest

_CANNOT_WRITE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES,
                             errno.EPERM, errno.EIO})  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A run in progress: what it was asked, what it starts from, and what it builds."""

    settings: Settings
    sources: Sequence[Source]
    published: Generation | None
    generation: Generation
    run_id: str
    started_at: datetime
    say: Say
    file_id_key: str = field(repr=False)
    """What keeps others from aiming at ids of files: see `lake.keys`. It stands in no record."""
    workers: Workers = local_workers
    clock: Clock = field(default_factory=Clock)
    at_end: ExitStack = field(default_factory=ExitStack)
    """What is closed whatever way the run ends."""

    @cached_property
    def extractor(self) -> str:
        """What decides how a file is read."""
        return versions.extractor(str(self.settings.bounds), self.file_id_key)

    @cached_property
    def labels(self) -> dict[str, str]:
        """What each source is called in Prefect, by its name.

        A plain name that an operator chose (`ward_a=PATH`) is used; the name of a folder may be a
        patient's, and such a source is `source 1`.
        """
        texts = self.settings.sources
        return {
            source.name: source.name
            if fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,31}", source.name)
            and (
                (source.list_file is None and source.name != PurePosixPath(source.address).name)
                or any(text.startswith(f"{source.name}=") for text in texts)
            )
            else f"source {number}"
            for number, source in enumerate(self.sources, 1)
        }

    @cached_property
    def before(self) -> dict[str, Any]:
        """The record of the published generation; empty where there is none."""
        return {} if self.published is None else self.published.run()

    @cached_property
    def waiver_list(self) -> list[waivers.Waiver]:
        """What someone has accepted, line by line."""
        return waivers.listed(self.settings.warehouse, self.settings.waivers)

    @property
    def finding_salt(self) -> str:
        """Keeps others from trying which names make a finding's key. It stands in no record."""
        key = self.file_id_key.encode()
        return blake2b(b"findings", key=key, digest_size=16).hexdigest()

    @cached_property
    def depends_on(self) -> dict[str, Any]:
        """What the warehouse depends on beside the files themselves."""
        forgotten = self.settings.forget
        rest = {k: v for k, v in self.before.get("sources", {}).items() if k not in forgotten}
        return {
            "extractor": self.extractor,
            "dictionary": versions.dictionary(),
            "models": versions.models(),
            "waivers": waivers.digest(self.waiver_list, self.started_at.date()),
            "expected": listed_digest(self.settings.expect),
            "sources": rest | {source.name: source.address for source in self.sources},
            "lists": {k: v for k, v in self.before.get("lists", {}).items() if k in rest}
            | {s.name: s.list_file for s in self.sources if s.list_file is not None},
        }


@contextmanager
def begin(
    settings: Settings, say: Say, workers: Workers | None = None, show: Show | None = None
) -> Iterator[Run]:
    """Check the sources, take the warehouse, and clean up whatever way the run ends.

    What a run has read stays where the next one finds it, should this one not be published.

    Args:
        settings: what the run is asked to do.
        say: gets a line of text now and then.
        workers: who carries out the work lists.
        show: shows how far the run is; lines, where it is not given.

    Raises:
        UsageError, WarehouseBusy, WarehouseTooNew, StorageError: before anything was read.
    """
    os.umask(0o077)  # names and identifiers: readable by their owner alone
    try:
        check_settings(settings)
    except DicomhouseError as error:
        _note_refused(settings.warehouse, error)
        raise
    clock = Clock()
    if show is None:
        show = lines = Lines(say)
        say = lines.say
    with generations.building(settings.warehouse) as generation, ExitStack() as at_end:
        run_id, started_at = _run_id(generation.number), datetime.now(UTC)
        published = generations.current(settings.warehouse)
        failures.begin(settings.warehouse, identity(run_id, started_at))
        try:
            key = settings.file_id_key or keys.key_of(settings.warehouse)
            before = {} if published is None else published.run()
            extractor = versions.extractor(str(settings.bounds), key)
            sources = increment.sources(settings, before, extractor)
            if settings.full_refresh:
                generation.mark_as_refresh()
            if settings.dask:
                there = settings.dask, settings.warehouse.resolve(), sources, say
                workers = workers or (lambda jobs, n_read: cluster_workers(*there))
            with shown(clock, show):
                yield Run(
                    settings, sources, published, generation, run_id, started_at, say, key,
                    workers or local_workers, clock, at_end,
                )  # fmt: skip
            failures.end(settings.warehouse)
        except DicomhouseError as error:
            failures.note(settings.warehouse, failure(run_id, started_at, error))
            raise
        except OSError as error:
            if error.errno not in _CANNOT_WRITE:
                raise
            refused = StorageError(
                f"cannot write {settings.warehouse}: {error.strerror}. Free space or rights, "
                "then build again; the published warehouse is unchanged, what was read is kept."
            )
            failures.note(settings.warehouse, failure(run_id, started_at, refused))
            raise refused from error
        except BaseException as error:
            if is_interruption(error) or not isinstance(error, Exception):
                failures.end(settings.warehouse)  # somebody wanted it so
            raise


def _note_refused(warehouse: Path, error: DicomhouseError) -> None:
    """Note a run that did not begin, where there is a warehouse whose operator looks at it."""
    if generations.current(warehouse) is None:
        return
    with suppress(DicomhouseError), generations.building(warehouse) as generation:
        run_id = _run_id(generation.number)
        failures.note(warehouse, failure(run_id, datetime.now(UTC), error))


def _run_id(generation: int) -> str:
    return f"{generation:06d}-{uuid4().hex[:8]}"


def failure(run_id: str, started_at: datetime, error: DicomhouseError) -> dict[str, Any]:
    """What stands of a run that published nothing."""
    return {**identity(run_id, started_at), "failure": error.message}


def identity(run_id: str, started_at: datetime) -> dict[str, str]:
    """Which run it was, when and by what."""
    return {
        "run_id": run_id,
        "dicomhouse": version("dicomhouse"),
        "started_at": started_at.isoformat(timespec="seconds"),
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
