"""dbt in a child process: it gets ready while files are read, and no lock outlives it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dicomhouse.errors import ModelsFailed
from dicomhouse.versions import dbt_project, models


@dataclass(frozen=True)
class NodeResult:
    """How one dbt node (model, seed, test) ended. `status` is dbt's own word."""

    name: str
    kind: str
    status: str
    seconds: float

    @property
    def has_failed(self) -> bool:
        return self.status in ("error", "fail", "runtime error", "partial success")


class DbtProcess:
    """A process that imports dbt, parses the project, and waits for the word to build.

    It ends by itself when its parent is gone.
    """

    def __init__(self, state: Path, folder: Path) -> None:
        """Start it.

        Args:
            state: a folder that stays from run to run, for dbt's parse, results and log.
            folder: where warehouse.duckdb will be when it is to build.
        """
        # dbt's parse of another project would be taken for this one's.
        target = state.resolve() / f"target-{models()}"
        for other in state.glob("target*"):
            if other.name != target.name:
                shutil.rmtree(other)
        self._results = target / "nodes.json"
        self._results.unlink(missing_ok=True)
        self._log = state.resolve() / "logs"
        self._log.mkdir(parents=True, exist_ok=True)
        project = str(dbt_project())
        ready, theirs = os.pipe()
        order = {
            "ready": theirs,
            "folder": str(folder),
            "results": str(self._results),
            "options": ["--project-dir", project, "--profiles-dir", project,
                        "--target-path", str(target), "--log-path", str(self._log),
                        "--log-level-file", "none", "--no-write-json"],
        }  # fmt: skip
        with (self._log / "output.txt").open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dicomhouse.warehouse.dbt_child", json.dumps(order)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs],
                text=True,
            )
        os.close(theirs)
        self._ready = os.fdopen(ready, "rb")

    def wait_until_ready(self) -> None:
        """Return once the process can build, or has ended."""
        self._ready.read()

    def build(self) -> list[NodeResult]:
        """Run `dbt build` on warehouse.duckdb: models and data tests.

        dbt's unit tests try the models on rows of their own, so they are left to the test suite.

        Raises:
            ModelsFailed: a model or an error-severity test failed; its message names them.
        """
        self._process.communicate("build")
        results = _read_results(self._results)
        failed = [result for result in results if result.has_failed]
        if failed:
            raise ModelsFailed(_failure(failed, self._log))
        if self._process.returncode != 0 or not results:
            raise ModelsFailed(f"dbt ended before its models ran; its words are in {self._log}.")
        return results

    def close(self) -> None:
        """End a process that was never asked to build."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._ready.close()


def _read_results(path: Path) -> list[NodeResult]:
    try:
        return [NodeResult(**plain) for plain in json.loads(path.read_text())]
    except (FileNotFoundError, ValueError):  # it was killed, or the disk is full
        return []


def _failure(failed: Sequence[NodeResult], log: Path) -> str:
    names = ", ".join(f"{node.kind} {node.name} ({node.status})" for node in failed[:10])
    more = f" and {len(failed) - 10} more" if len(failed) > 10 else ""
    return (
        f"dbt: {names}{more} failed, so nothing was published. dbt's words are in {log}; "
        "what this run has read is kept for the next one."
    )
