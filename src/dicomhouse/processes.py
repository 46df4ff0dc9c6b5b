"""Lifetimes of processes: a run leaves none behind, however it ends.

A command that builds runs in a child with a process group of its own. The parent imports next to
nothing, so that it answers a signal at once: it passes it on, waits a moment, and ends the group.
No process imports anything from the folder that a user stands in, or works there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

_GRACE_SECONDS = 1.5
_LIFELINE = "DICOMHOUSE_LIFELINE"
STOPS = (signal.SIGINT, signal.SIGTERM)
"""The signals that ask a run to stop."""
_PATHS = (
    *("DICOMHOUSE_CACHE", "DICOMHOUSE_DBT"),
    *("PREFECT_API_SSL_CERT_FILE", "PREFECT_HOME", "PREFECT_PROFILES_PATH"),
    *("SSL_CERT_DIR", "SSL_CERT_FILE", "TMPDIR"),
)
"""Variables of the environment that name a path."""


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
        number: signal.signal(number, lambda got, _: received.append(got)) for number in STOPS
    }
    try:
        # The child takes its mask along: a signal waits until it can answer (`hold_lifeline`).
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        child = subprocess.Popen(
            [sys.executable, "-P", *words],
            process_group=0,
            close_fds=False,
            env={**_safe_environment(), _LIFELINE: str(read_end)},
        )
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
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
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


def leave_working_folder(elsewhere: Path) -> Path:
    """Work in another folder, all later children too; returns the one that was left.

    What lies in a working folder is anybody's: a Python module of a well-known name, or settings
    that a library reads there. Call it before such a library is imported.
    """
    from multiprocessing import process

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


def raise_on_sigterm() -> None:
    """Turn SIGTERM into an exception of the main thread, as SIGINT already is."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
