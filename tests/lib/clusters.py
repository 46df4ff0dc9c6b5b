"""A Dask cluster on loopback: a scheduler and workers, each a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from places import ROOT

_SECONDS = 60


class Cluster:
    """The processes of one, and where its scheduler listens.

    Args:
        folder: for what they write: logs, and the scheduler's address.
        environment: of the scheduler.
    """

    import_path = os.pathsep.join([str(ROOT / "tests" / "crash"), os.environ.get("PYTHONPATH", "")])
    """Where its processes find `killing`."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._file = folder / "scheduler.json"
        words = ["--port", "0", "--scheduler-file", str(self._file)]
        self.scheduler = self._start("scheduler", words, **environment)
        self._await(self._file.exists)
        self.address: str = json.loads(self._file.read_text())["address"]

    def start_workers(self, number: int, **environment: str) -> list[subprocess.Popen[bytes]]:
        """More workers, of one thread, which nothing starts again; returns once they are known."""
        words = [self.address, "--nthreads", "1", "--no-nanny", "--local-directory"]
        known = self.log().count("Registered to") + number
        started = [
            self._start("worker", [*words, str(self._folder)], **environment) for _ in range(number)
        ]
        self._await(lambda: self.log().count("Registered to") == known)
        return started

    def log(self) -> str:
        """All that its processes said."""
        return "".join(path.read_text() for path in sorted(self._folder.glob("*.log")))

    def end_workers(self) -> None:
        for process in self._processes[1:]:
            process.kill()
            process.wait()

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def _start(self, what: str, words: list[str], **environment: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{len(self._processes) + 1}.log").open("wb") as log:
            started = subprocess.Popen(
                [sys.executable, "-P", "-m", f"distributed.cli.dask_{what}", "--no-dashboard",
                 "--host", "127.0.0.1", *words],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={**os.environ, "PYTHONPATH": self.import_path, **environment},
            )  # fmt: skip
        self._processes.append(started)
        return started

    def _await(self, is_there: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _SECONDS
        while not is_there():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)
