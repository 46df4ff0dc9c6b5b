"""The workers of a Dask cluster in the place of processes of this machine.

They need this program, and the sources and the warehouse under the paths that these have here; they
need neither Prefect nor its server. That a worker ends costs another go at its batch.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicomhouse import versions
from dicomhouse.errors import DicomhouseError, ExtractionFailed, Interrupted
from dicomhouse.filesystem import open_file
from dicomhouse.sources.opening import IS_STORE
from dicomhouse.sources.source import Source
from dicomhouse.store.generations import BUILD_LOCK

if TYPE_CHECKING:
    from distributed import Client

_CONNECT_SECONDS = 10
_WORKER_SECONDS = 30
"""In which there has to be a worker: as a run begins, and once all have gone."""
_LOOK_SECONDS = 1
_RETRIES = 2


@contextmanager
def cluster_workers(
    address: str, warehouse: Path, sources: Sequence[Source], say: Callable[[str], None]
) -> Iterator[Executor]:
    """An executor of all the workers that a scheduler has, or will have.

    Raises:
        ExtractionFailed: no scheduler answers there, it has no workers, or one of them does not
            see what it is to read or to write.
    """
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise ExtractionFailed(
            f"{error.name} is not installed: pip install 'dicomhouse[dask]' brings it."
        ) from None
    try:
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ExtractionFailed(
            f"no Dask scheduler answers at {address}. Start one (dask scheduler), or build without "
            "--dask."
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=_WORKER_SECONDS)
        except TimeoutError:
            raise _no_worker(address) from None
        signs = Signs.of(warehouse, sources)
        answers = client.run(look, signs, on_error="return")
        for worker, answer in answers.items():
            if isinstance(answer, DicomhouseError):
                raise answer
            if isinstance(answer, Exception):
                raise ExtractionFailed(
                    f"the Dask worker {worker} cannot run dicomhouse ({type(answer).__name__}). "
                    "Install the release that runs here there too."
                ) from answer
        say(f"extract: on {len(answers)} workers of the Dask cluster at {address}")
        cluster = _Cluster(client, address, signs)
        try:
            yield cluster
        finally:
            cluster.shutdown()


def _no_worker(address: str) -> ExtractionFailed:
    return ExtractionFailed(
        f"the Dask scheduler at {address} has had no worker for {_WORKER_SECONDS} s. Start some "
        f"(dask worker {address}), then build again; what was read is kept."
    )


@dataclass(frozen=True)
class Signs:
    """By what a worker knows that it sees what the run sees."""

    release: tuple[str, str]
    warehouse: str = field(repr=False)  # a worker logs what it was given where a job fails
    sources: tuple[tuple[str, str, str | None], ...] = field(repr=False)
    """Name, address, and where it is a folder the name of something that lies in it."""

    @classmethod
    def of(cls, warehouse: Path, sources: Sequence[Source]) -> Signs:
        """Those of a run, which holds the builder's lock."""
        seen = []
        for source in sources:
            first = None
            if not source.is_store and source.folder.is_dir():
                with os.scandir(source.folder) as entries:
                    first = next(entries, None)
            seen.append((source.name, source.address, first and first.name))
        return cls(_release(), str(warehouse), tuple(seen))


def _release() -> tuple[str, str]:
    return version("dicomhouse"), versions.extractor("", "")


def look(signs: Signs) -> None:
    """Look, on a worker, whether all is there that its batches need.

    Raises:
        ExtractionFailed: it is not, or is something else under the same path.
    """
    where = f"a Dask worker on {os.uname().nodename}"
    if _release() != signs.release:
        raise ExtractionFailed(
            f"{where} has another release of dicomhouse or pydicom than this machine. Install the "
            "same there."
        )
    try:
        with open_file(Path(signs.warehouse, BUILD_LOCK), os.O_RDWR | os.O_NOFOLLOW)[0] as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:  # as it should be: the run holds it
        pass
    except OSError as error:
        raise ExtractionFailed(
            f"{where} cannot write {{warehouse}}: {error.strerror}. It has to be shared storage, "
            "under the same path everywhere, and the worker's user the one who builds.",
            warehouse=signs.warehouse,
        ) from None
    else:
        raise ExtractionFailed(
            f"{where} does not see the locks of {{warehouse}}: it has another folder under that "
            "path, or the storage keeps locks to each machine. Put the warehouse on storage that "
            "shares them.",
            warehouse=signs.warehouse,
        )
    for source, address, name in signs.sources:
        if not _is_seen(address, name):
            raise ExtractionFailed(
                f"{where} does not see the files of source {{source}} in {{folder}}. Mount them "
                "there under the same path, or give it the store's credentials.",
                source=source,
                folder=address,
            )


def _is_seen(address: str, name: str | None) -> bool:
    if IS_STORE not in address:
        return os.path.lexists(f"{address}/{name}" if name else address)
    from dicomhouse.sources.objects import find

    try:
        next(find(address), None)
    except OSError:
        return False
    return True


@cache
def _look_once(signs: Signs) -> None:
    """The same in a worker that may have come later, until all is there."""
    look(signs)


def _carry_out(signs: Signs, job: Callable[..., Any], *given: Any) -> Any:
    """Do a job on a worker."""
    os.umask(0o077)  # no run of ours has started it
    try:
        _look_once(signs)
        return job(*given)
    except DicomhouseError as error:
        raise error.without_names() from None  # which the worker logs


class _Cluster(Executor):
    """Dask's executor, whose failures are told in the words of a run."""

    def __init__(self, client: Client, address: str, signs: Signs) -> None:
        self._client = client
        self._address = address
        self._signs = signs
        self._pool = client.get_executor(pure=False, retries=_RETRIES)
        self._begun: set[Future[Any]] = set()
        self._lost: DicomhouseError | None = None
        """Why what is begun is given up, once it is."""
        self._is_over = threading.Event()
        threading.Thread(target=self._watch, daemon=True, name="dask-watch").start()

    def submit(self, job: Callable[..., Any], /, *given: Any, **_: Any) -> Future[Any]:
        result: Future[Any] = Future()
        begun = self._pool.submit(_carry_out, self._signs, job, *given)
        self._begun.add(begun)
        begun.add_done_callback(partial(self._tell, result))
        return result

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Give up what is not done: nobody waits for it any more."""
        self._is_over.set()
        self._give_up(Interrupted("the run ended before this batch was read."))

    def _give_up(self, why: DicomhouseError) -> None:
        self._lost = why
        for begun in list(self._begun):
            begun.cancel()

    def _tell(self, result: Future[Any], begun: Future[Any]) -> None:
        from distributed.scheduler import KilledWorker

        self._begun.discard(begun)
        try:
            result.set_result(begun.result())
        except CancelledError:
            result.set_exception(self._lost or self._scheduler_lost())
        except KilledWorker as error:
            result.set_exception(
                ExtractionFailed(
                    f"a batch was tried {error.allowed_failures + 1} times, and the Dask worker "
                    "ended each time, perhaps for lack of memory. Give the workers more, then "
                    "build again; what was read is kept."
                )
            )
        except BaseException as error:
            result.set_exception(error)

    def _scheduler_lost(self) -> ExtractionFailed:
        return ExtractionFailed(
            f"the Dask scheduler at {self._address} is gone. Start it, then build again; what was "
            "read is kept."
        )

    def _watch(self) -> None:
        """Without any worker, futures wait for ever."""
        seen = time.monotonic()
        while not self._is_over.wait(_LOOK_SECONDS):
            try:
                if self._client.scheduler_info(n_workers=-1)["workers"]:
                    seen = time.monotonic()
            except Exception:  # whatever it says of a connection that is lost
                if self._client.status != "running":
                    self._give_up(self._scheduler_lost())
            if time.monotonic() - seen > _WORKER_SECONDS:
                self._give_up(_no_worker(self._address))
