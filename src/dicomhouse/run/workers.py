"""Who carries out work lists on this machine: threads for a few files, processes for many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager

from dicomhouse.errors import ExtractionFailed, Interrupted
from dicomhouse.lake.records import PartRecord
from dicomhouse.pools import how_a_worker_ended, is_given_up, light_pool

FEW_FILES = 1_000
"""Up to these, to start processes takes longer than the work."""
Workers = Callable[[int, int], AbstractContextManager[Executor]]
"""By how many there are to be and how many files they read: an executor of them."""


@contextmanager
def local_workers(jobs: int, n_read: int) -> Iterator[Executor]:
    """Threads where few files are read, since most of the work is Arrow's; else processes."""
    if n_read <= FEW_FILES:
        import dicomhouse.lake.extract
        import dicomhouse.lake.rewrite  # noqa: F401 -- before the threads start

        with ThreadPoolExecutor(jobs) as pool:
            yield pool
    else:
        with light_pool(jobs) as processes:
            yield processes


def checked(result: Callable[[], PartRecord]) -> PartRecord:
    """The result of a batch, the end of its worker told as an error of the run.

    Raises:
        StorageError: as `carry_out`.
        ExtractionFailed: a worker ended, or met a bug.
        Interrupted: the run ends, and has ended its workers.
    """
    try:
        return result()
    except (BrokenProcessPool, CancelledError) as error:
        if is_given_up():
            raise Interrupted("the run ended before this batch was read.") from error
        raise ExtractionFailed(
            f"a worker process {how_a_worker_ended()}. "
            "Build again with fewer --jobs; what was read is kept."
        ) from error
