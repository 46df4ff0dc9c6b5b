"""Worker processes are light, and end with the one that started them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

from conftest import marked_processes

PROGRAM = """
import prefect, sys, time
from dicomhouse.lake.extract import extract_batch
from dicomhouse.processes import light_pool

if __name__ == "__main__":
    with light_pool(1) as pool:
        pool.submit(getattr, extract_batch, "__doc__").result()
        modules = pool.submit(eval, "sorted(__import__('sys').modules)").result()
        print("prefect" in modules, "dicomhouse.lake.extract" in modules, flush=True)
        if len(sys.argv) > 1:
            time.sleep(60)
"""


def test_workers_import_the_extraction_and_not_the_orchestrator(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "main.py")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False True\n"


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(PROGRAM)
    mark = uuid4().hex
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "main.py"), mark], stdout=subprocess.PIPE, text=True,
        env={"DICOMHOUSE_MARK": mark, "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert parent.stdout is not None
    assert parent.stdout.readline() == "False True\n"
    assert len(marked_processes(mark)) >= 2
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 3
    while marked_processes(mark):
        assert time.monotonic() < deadline
        time.sleep(0.05)
