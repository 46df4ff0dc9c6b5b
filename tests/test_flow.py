"""The Prefect flow: the same warehouse as without it, its states, its end, its schedule."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest
from conftest import marked_processes, run_cli
from test_build import assert_equal_warehouses

import dicomhouse
from dicomhouse.testing import build_cohort

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")


def test_flow_and_direct_build_the_same_warehouse(tmp_path: Path, prefect_home: Path) -> None:
    build_cohort(tmp_path / "in", patients=2, slices=8, defects=[("missing_slice", 0)])
    direct, flow = tmp_path / "direct", tmp_path / "flow"
    assert run_cli("build", str(tmp_path / "in"), "--warehouse", str(direct), "--direct"
                   ).returncode == 0  # fmt: skip
    mark = uuid4().hex
    done = run_cli("build", str(tmp_path / "in"), "--warehouse", str(flow), DICOMHOUSE_MARK=mark)
    assert done.returncode == 0, done.stderr
    assert "extract part-" in done.stderr  # a batch is a task, its state is seen
    assert "images     15" in done.stdout
    assert marked_processes(mark) == []
    assert_equal_warehouses(direct, flow)
    again = run_cli("build", "--warehouse", str(flow))
    assert again.returncode == 0, again.stderr
    assert "nothing changed since generation 1" in again.stderr
    assert "Finished in state Completed('nothing changed since generation 1')" in again.stderr
    assert [folder.name for folder in (flow / "generations").iterdir()] == ["000001"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("mode", "seen"),
    [
        ("--direct", None),  # while Python starts
        ("--direct", "generations"),  # while files are read
        ("--direct", "warehouse.duckdb"),  # while dbt builds
        ("--flow", None),
        ("--flow", "generations"),
        ("--flow", "warehouse.duckdb"),
    ],
)
def test_stop_ends_a_build_in_three_seconds_and_leaves_no_process(
    tmp_path: Path, prefect_home: Path, number: int, mode: str, seen: str | None
) -> None:
    build_cohort(tmp_path / "in", patients=2, slices=8)
    mark = uuid4().hex
    build = subprocess.Popen(
        [sys.executable, "-m", "dicomhouse", "build", str(tmp_path / "in"),
         "--warehouse", str(tmp_path / "w"), *([mode] if mode == "--direct" else [])],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "DICOMHOUSE_MARK": mark},
    )  # fmt: skip
    deadline = time.monotonic() + 90
    if seen is None:
        time.sleep(0.4)
    while seen and not list((tmp_path / "w").rglob(seen)):
        assert build.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    begun = time.monotonic()
    build.send_signal(number)
    _, told = build.communicate(timeout=30)
    assert time.monotonic() - begun < 3
    assert build.returncode == 128 + number
    assert told.splitlines()[-1].startswith(f"dicomhouse: stopped by {signal.Signals(number).name}")
    assert marked_processes(mark) == []
    with pytest.raises(dicomhouse.errors.WarehouseNotFound):
        dicomhouse.open(tmp_path / "w")


def test_killed_build_leaves_no_process_and_the_next_one_is_fine(tmp_path: Path) -> None:
    build_cohort(tmp_path / "in", patients=2, slices=8)
    mark = uuid4().hex
    words = ["build", str(tmp_path / "in"), "--warehouse", str(tmp_path / "w"), "--direct"]
    build = subprocess.Popen(
        [sys.executable, "-m", "dicomhouse", *words], env={**os.environ, "DICOMHOUSE_MARK": mark}
    )
    while not list((tmp_path / "w").rglob("work")):
        assert build.poll() is None
        time.sleep(0.02)
    build.kill()
    build.wait()
    deadline = time.monotonic() + 3
    while marked_processes(mark):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert run_cli(*words).returncode == 0


def test_short_schedule_fires_and_builds_the_warehouse(tmp_path: Path, prefect_home: Path) -> None:
    build_cohort(tmp_path / "in", patients=1, slices=8)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mark = uuid4().hex
    serve = subprocess.Popen(
        [sys.executable, str(Path(__file__).parents[1] / "flows" / "serve.py"),
         str(tmp_path / "in"), "--warehouse", str(tmp_path / "w"), "--every", "10"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "PREFECT_SERVER_API_PORT": str(port), "DICOMHOUSE_MARK": mark},
    )  # fmt: skip
    left: list[int] = []
    try:
        deadline = time.monotonic() + 180
        while not (tmp_path / "w" / "current").exists():
            assert serve.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
        with dicomhouse.open(tmp_path / "w") as opened:
            assert opened.sql("select count(*) n from images").item() == 8
    finally:
        serve.send_signal(signal.SIGTERM)
        serve.wait(timeout=15)
        left = marked_processes(mark)
        for process in left:
            os.kill(process, signal.SIGKILL)
    assert left == []
