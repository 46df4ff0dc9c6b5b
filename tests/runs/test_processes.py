"""Worker processes are light, and end with the one that started them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from commands import marked_processes

import dicomhouse
from dicomhouse.errors import DicomhouseError, ExtractionFailed, Interrupted
from dicomhouse.pools import light_pool
from dicomhouse.processes import supervise
from dicomhouse.run.workers import checked

PROGRAM = """
import prefect, sys, time
from dicomhouse.lake.extract import extract_batch
from dicomhouse.pools import light_pool

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


def test_batches_of_a_run_that_stops_have_not_failed() -> None:
    told: list[BaseException] = []

    def wait(result: Callable[[], Any]) -> None:
        try:
            checked(result)
        except DicomhouseError as error:
            told.append(error)

    with pytest.raises(KeyboardInterrupt), light_pool(1) as pool:
        batches = [Thread(target=wait, args=[pool.submit(time.sleep, 60).result]) for _ in range(3)]
        for batch in batches:
            batch.start()
        raise KeyboardInterrupt
    for batch in batches:
        batch.join(10)
    assert [type(error) for error in told] == [Interrupted] * 3
    with pytest.raises(ExtractionFailed), light_pool(1) as pool:
        checked(pool.submit(os._exit, 1).result)


ELSEWHERE = """
import os, sys
from pathlib import Path
from dicomhouse.pools import light_pool
from dicomhouse.processes import leave_working_folder, supervise

if __name__ == "__main__":
    if sys.argv[1:2] == ["supervise"]:
        sys.exit(supervise([os.path.abspath(__file__), *sys.argv[2:]]))
    print(leave_working_folder(Path(sys.argv[1])))
    print(os.getcwd(), os.environ["TMPDIR"], os.environ["PYTHONPATH"])
    with light_pool(1) as pool:
        print(pool.submit(os.getcwd).result())
        print(*pool.submit(eval, "__import__('sys').path").result(), sep=os.pathsep)
"""


def test_children_work_elsewhere_and_import_what_was_named(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(ELSEWHERE)
    there, elsewhere = tmp_path / "there", tmp_path / "elsewhere"
    there.mkdir()
    elsewhere.mkdir()
    source = Path(dicomhouse.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "../main.py", "supervise", str(elsewhere)], cwd=there,
        capture_output=True, text=True, check=True,
        # an empty entry means the working folder
        env={"TMPDIR": "../tmp", "PYTHONPATH": f":../lib:{source}", "PATH": os.environ["PATH"]},
    )  # fmt: skip
    left, mine, theirs, path = done.stdout.splitlines()
    assert left == str(there)
    assert mine == f"{elsewhere} {there}/../tmp {there}/../lib:{source}"
    assert theirs == str(elsewhere)
    folders = {os.path.normpath(folder) for folder in path.split(os.pathsep)}
    assert folders >= {str(tmp_path / "lib"), str(source)}
    assert not folders & {str(there), str(elsewhere), ".", str(tmp_path)}


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (9, r"ended by signal 9 \(Killed\), perhaps for lack of memory"),
        (6, r"signal 6 \(Aborted\);"),
    ],
)
def test_end_of_a_program_by_a_signal_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], number: int, told: str
) -> None:
    (tmp_path / "main.py").write_text(f"import os; os.kill(os.getpid(), {number})")
    assert supervise([str(tmp_path / "main.py")]) == 128 + number
    assert re.search(told, capfd.readouterr().err)


@pytest.mark.parametrize(
    ("work", "told"),
    [
        ((os.kill, "getpid", 9), "was killed by signal 9, perhaps for lack of memory"),
        ((os.kill, "getpid", 11), "ended by signal 11"),
        ((os._exit, 3), "ended with code 3"),
    ],
)
def test_how_a_worker_ended_is_told(work: tuple[Any, ...], told: str) -> None:
    function, *words = work
    with pytest.raises(ExtractionFailed, match=f"a worker process {told}"), light_pool(1) as pool:
        if words[0] == "getpid":
            words[0] = pool.submit(os.getpid).result()
        checked(pool.submit(function, *words).result)
