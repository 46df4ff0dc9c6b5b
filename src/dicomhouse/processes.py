"""Lifetimes of processes: a run leaves none behind, however it ends.

A command that builds runs in a child with a process group of its own. The parent imports next to
nothing, so that it answers a signal at once: it passes it on, waits a moment, and ends the group.
Pool workers end by themselves when their parent is gone. No process imports anything from the
folder that a user stands in, or works there.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import process
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType

_GRACE_SECONDS = 1.5
_LIFELINE = "DICOMHOUSE_LIFELINE"
_STOPS = (signal.SIGINT, signal.SIGTERM)
_PATHS = (
    *("DICOMHOUSE_CACHE", "DICOMHOUSE_DBT"),
    *("PREFECT_API_SSL_CERT_FILE", "PREFECT_HOME", "PREFECT_PROFILES_PATH"),
    *("SSL_CERT_DIR", "SSL_CERT_FILE", "TMPDIR"),
)
"""Variables of the environment that name a path."""
_given_up = threading.Event()
"""A pool was ended before its work was done, on purpose."""
_workers: list[process.BaseProcess] = []
"""Of the last pool."""


def is_interruption(error: BaseException | None) -> bool:
    """Whether it is what becomes of Ctrl-C, for which DuckDB has a word of its own."""
    return isinstance(error, KeyboardInterrupt) or (
        isinstance(error, RuntimeError) and "Query interrupted" in str(error)
    )


def supervise(words: Sequence[str]) -> int:
    """Run a Python program in a process group of its own and return its exit code.

    SIGINT and SIGTERM are passed on; what is left of the group after 1.5 seconds, or after the
    program's own end, is killed. Should this process be killed, the closed lifeline ends the
    group too (see `hold_lifeline`).

    Args:
        words: of its command line behind `python -P`.

    Returns:
        The program's exit code; 130 after SIGINT, 143 after SIGTERM, and 128 more than the number
        of a signal that the program ended by.
    """
    received: list[int] = []
    read_end, write_end = os.pipe()
    os.set_inheritable(read_end, True)
    handlers = {
        number: signal.signal(number, lambda got, _: received.append(got)) for number in _STOPS
    }
    try:
        # The child takes its mask along: a signal waits until it can answer (`hold_lifeline`).
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
        child = subprocess.Popen(
            [sys.executable, "-P", *words],
            process_group=0,
            close_fds=False,
            env={**_safe_environment(), _LIFELINE: str(read_end)},
        )
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
        os.close(read_end)
        stop_at = None
        while True:
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=0.1)
                break
            if received and stop_at is None:
                stop_at = time.monotonic() + _GRACE_SECONDS
                _tell("stopping ...")
                _signal_group(child.pid, received[0])
            if stop_at is not None and time.monotonic() > stop_at:
                _signal_group(child.pid, signal.SIGKILL)
        _signal_group(child.pid, signal.SIGKILL)
        if received:
            name = signal.Signals(received[0]).name
            _tell(f"stopped by {name}; a published warehouse stays as it is.")
            return 128 + received[0]
        if child.returncode < 0:
            number = -child.returncode
            memory = ", perhaps for lack of memory" if number == signal.SIGKILL else ""
            _tell(
                f"ended by signal {number} ({signal.strsignal(number)}){memory}; a published "
                "warehouse stays as it is, and the next run takes over what was read."
            )
            return 128 + number
        return child.returncode
    finally:
        os.close(write_end)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _tell(line: str) -> None:
    print(f"dicomhouse: {line}", file=sys.stderr, flush=True)


def _signal_group(leader: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def hold_lifeline() -> None:
    """In a supervised process: take signals from now on, and end with the supervisor.

    Call it where an exception of a signal is met: one may have been waiting.
    """
    descriptor = os.environ.pop(_LIFELINE, None)
    if descriptor is None:
        return
    lifeline = int(descriptor)
    os.set_inheritable(lifeline, False)

    def watch() -> None:
        with suppress(OSError):
            os.read(lifeline, 1)  # returns when the other end is closed
        _signal_group(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="lifeline").start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)


def leave_working_folder(elsewhere: Path) -> Path:
    """Work in another folder, all later children too; returns the one that was left.

    What lies in a working folder is anybody's: a Python module of a well-known name, or settings
    that a library reads there. Call it before such a library is imported.
    """
    left = Path.cwd()
    os.environ |= _safe_environment()
    os.chdir(elsewhere)
    process.ORIGINAL_DIR = str(elsewhere)  # type: ignore[attr-defined]  # its children's
    return left


def _safe_environment() -> dict[str, str]:
    """The environment for children in any folder, which import nothing from the working one."""
    here = Path.cwd()
    paths = {name: os.environ[name] for name in _PATHS if os.environ.get(name)}
    modules = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return {
        **os.environ,
        **{name: str(here / Path(path).expanduser()) for name, path in paths.items()},
        "PYTHONPATH": os.pathsep.join(str(here / path) for path in modules if path),
        "PYTHONSAFEPATH": "1",
    }


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
    for number in _STOPS:  # the parent decides
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()


def raise_on_sigterm() -> None:
    """Turn SIGTERM into an exception of the main thread, as SIGINT already is."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
