"""What every step of a run stands on, and how a run begins and ends."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from hashlib import blake2b
from importlib.metadata import version
from typing import Any
from uuid import uuid4

from dicomhouse import versions
from dicomhouse.errors import DicomhouseError, StorageError
from dicomhouse.lake import keys
from dicomhouse.run.checks import check_settings
from dicomhouse.run.workers import Workers, local_workers
from dicomhouse.settings import Settings
from dicomhouse.sources.scan import Source
from dicomhouse.store import failures, generations, increment, waivers
from dicomhouse.store.generations import Generation
from dicomhouse.warehouse.expected import digest as listed_digest

Say = Callable[[str], None]
_CANNOT_WRITE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES,
                             errno.EPERM, errno.EIO})  # fmt: skip


@dataclass
class Clock:
    """How long a run was at each of its steps and at nothing else: together, all of its time."""

    seconds: dict[str, float] = field(default_factory=dict)
    _in_steps: float = 0.0
    """Seconds of the steps within the present one."""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step, or some more of it, under its name.

        What passes in a step within it counts for that one alone.
        """
        begun, around = time.perf_counter(), self._in_steps
        self._in_steps = 0.0
        yield
        took = time.perf_counter() - begun
        self.seconds[name] = self.seconds.get(name, 0.0) + took - self._in_steps
        self._in_steps = around + took


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
            "sources": rest | {source.name: str(source.folder) for source in self.sources},
        }


@contextmanager
def begin(settings: Settings, say: Say, workers: Workers = local_workers) -> Iterator[Run]:
    """Check the sources, take the warehouse, and clean up whatever way the run ends.

    What a run has read stays where the next one finds it, should this one not be published.

    Raises:
        UsageError, WarehouseBusy, WarehouseTooNew, StorageError: before anything was read.
    """
    os.umask(0o077)  # names and identifiers: readable by their owner alone
    check_settings(settings)
    with generations.building(settings.warehouse) as generation, ExitStack() as at_end:
        run_id, started_at = f"{generation.number:06d}-{uuid4().hex[:8]}", datetime.now(UTC)
        published = generations.current(settings.warehouse)
        try:
            key = settings.file_id_key or keys.key_of(settings.warehouse)
            before = {} if published is None else published.run()
            extractor = versions.extractor(str(settings.bounds), key)
            sources = increment.sources(settings, before, extractor)
            if settings.full_refresh:
                generation.mark_as_refresh()
            yield Run(
                settings, sources, published, generation, run_id, started_at, say, key,
                workers, at_end=at_end,
            )  # fmt: skip
        except DicomhouseError as error:
            failures.note(settings.warehouse, failure(run_id, started_at, error))
            raise
        except OSError as error:
            if error.errno not in _CANNOT_WRITE:
                raise
            raise StorageError(
                f"cannot write {settings.warehouse}: {error.strerror}. Free space or rights, "
                "then build again; the published warehouse is unchanged, what was read is kept."
            ) from error


def failure(run_id: str, started_at: datetime, error: DicomhouseError) -> dict[str, Any]:
    """What stands of a run that published nothing."""
    return {**identity(run_id, started_at), "failure": error.told}


def identity(run_id: str, started_at: datetime) -> dict[str, str]:
    """Which run it was, when and by what."""
    return {
        "run_id": run_id,
        "dicomhouse": version("dicomhouse"),
        "started_at": started_at.isoformat(timespec="seconds"),
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
