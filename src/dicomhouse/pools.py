"""Pools of worker processes, which end by themselves when their parent is gone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import process
from multiprocessing.connection import wait

from dicomhouse.processes import STOPS

_given_up = threading.Event()
"""A pool was ended before its work was done, on purpose."""
_workers: list[process.BaseProcess] = []
"""Of the last pool."""


@contextmanager
def light_pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of worker processes that import only what their work needs.

    Call it in the main thread. All workers start here and now, while `__main__` is hidden: a
    spawned process would import it again, and with it the orchestrator. On any exception, a stop
    included, the workers are killed rather than waited for.
    """
    _given_up.clear()
    pool = ProcessPoolExecutor(
        jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_begin_worker
    )
    try:
        with _hidden_main():
            for ready in [pool.submit(time.sleep, 0.01) for _ in range(jobs)]:
                ready.result()
        _workers[:] = (pool._processes or {}).values()
        yield pool
        pool.shutdown()
    except BaseException:
        _given_up.set()
        kill_workers(pool)
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def kill_workers(pool: ProcessPoolExecutor) -> None:
    """End the workers of a pool, whatever they are at: it is broken then."""
    for worker in list((pool._processes or {}).values()):
        worker.kill()


def how_a_worker_ended() -> str:
    """How a worker of the last pool ended that did so before its time."""
    deadline = time.monotonic() + 1  # the pool's own thread may be about to learn it
    while time.monotonic() < deadline:
        for code in (worker.exitcode for worker in _workers):
            if code == -signal.SIGKILL:
                return "was killed by signal 9, perhaps for lack of memory"
            if code:
                return f"ended by signal {-code}" if code < 0 else f"ended with code {code}"
        time.sleep(0.02)
    return "ended unexpectedly"


def is_given_up() -> bool:
    """Whether the workers of the last pool were killed by this process: it stops, or has failed."""
    return _given_up.is_set()


@contextmanager
def _hidden_main() -> Iterator[None]:
    main = sys.modules["__main__"]
    hidden = {name: main.__dict__.pop(name) for name in ("__file__",) if name in main.__dict__}
    spec, main.__spec__ = main.__spec__, None
    try:
        yield
    finally:
        main.__dict__.update(hidden)
        main.__spec__ = spec


def _begin_worker() -> None:
    os.umask(0o077)
    for number in STOPS:  # the parent decides
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()
