"""dbt in a child process: its import overlaps the extraction, and no lock outlives it."""

from __future__ import annotations

import json
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
    """A process that has dbt imported and waits for the word to build.

    It ends by itself when its parent is gone.
    """

    def __init__(self, state: Path) -> None:
        """`state`: a folder that stays from run to run, for dbt's parse, results and log."""
        # dbt's parse of another project would be taken for this one's.
        self.target = state.resolve() / f"target-{models()}"
        for other in state.glob("target*"):
            if other.name != self.target.name:
                shutil.rmtree(other)
        self._log = state.resolve() / "logs"
        self._log.mkdir(parents=True, exist_ok=True)
        with (self._log / "output.txt").open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dicomhouse.warehouse.dbt_child"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def build(self, folder: Path) -> list[NodeResult]:
        """Run `dbt build` on `folder`/warehouse.duckdb: models and data tests.

        dbt's unit tests try the models on rows of their own, so they are left to the test suite.

        Raises:
            ModelsFailed: a model or an error-severity test failed; its message names them.
        """
        results_file = self.target / "nodes.json"
        results_file.unlink(missing_ok=True)
        project = str(dbt_project())
        order = {
            "folder": str(folder),
            "results": str(results_file),
            "arguments": ["build", "--exclude-resource-type", "unit_test",
                          "--project-dir", project, "--profiles-dir", project,
                          "--target-path", str(self.target), "--log-path", str(self._log),
                          "--log-level-file", "none", "--no-write-json"],
        }  # fmt: skip
        self._process.communicate(json.dumps(order))
        results = _read_results(results_file)
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
