"""The Prefect flow: the same warehouse as without it, its states, its end, its schedule."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from commands import marked_processes, run_cli
from comparing import assert_equal_warehouses
from serving import Api, api_of, ask, serving, wait_for

import dicomhouse
from dicomhouse.testing import build_cohort

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")


def test_flow_and_direct_build_the_same_warehouse(tmp_path: Path, new_prefect_home: Path) -> None:
    build_cohort(tmp_path / "in", patients=2, slices=8, defects=[("missing_slice", 0)])
    direct, flow = tmp_path / "direct", tmp_path / "flow"
    assert run_cli("build", str(tmp_path / "in"), "--warehouse", str(direct), "--direct"
                   ).returncode == 0  # fmt: skip
    mark = uuid4().hex
    away = {"HTTP_PROXY": "http://127.0.0.1:9", "ALL_PROXY": "http://127.0.0.1:9"}  # not for us
    done = run_cli("build", str(tmp_path / "in"), "--warehouse", str(flow), "--flow",
                   DICOMHOUSE_MARK=mark, **away)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("a private Prefect server starts and makes its database, once")
    assert "Task run 'extract source 1 1 of 1'" in done.stderr  # a batch is a task
    assert "images     15" in done.stdout
    assert marked_processes(mark) == []
    assert_equal_warehouses(direct, flow)
    assert recorded(new_prefect_home) == {
        "flow_run": ["COMPLETED"],
        "task_run": ["COMPLETED"] * 7,
        "artifact": [
            "extraction",
            "files-by-status",
            "new-findings",
            "seconds-per-model",
            "summary",
        ],
    }
    with closing(sqlite3.connect(new_prefect_home / "prefect.db")) as database, database:
        database.execute("update flow_run set end_time = '2020-01-01 00:00:00.000000'")
    again = run_cli("build", "--warehouse", str(flow), "--flow")
    assert again.returncode == 0, again.stderr
    assert again.stderr.startswith("a private Prefect server starts; --direct builds without one")
    assert "nothing changed since generation 1" in again.stderr
    assert "Finished in state Completed('nothing changed since generation 1')" in again.stderr
    assert len(recorded(new_prefect_home)["flow_run"]) == 1  # the old one is gone
    assert [folder.name for folder in (flow / "generations").iterdir()] == ["000001"]


def recorded(prefect_home: Path) -> dict[str, list[str]]:
    """What the private server's database holds: the states of runs, and the artifacts' keys."""
    asked = {"flow_run": "state_type", "task_run": "state_type", "artifact": "key"}
    with closing(sqlite3.connect(prefect_home / "prefect.db")) as database:
        return {
            table: [
                value for (value,) in database.execute(f"select {what} from {table} order by 1")
            ]
            for table, what in asked.items()
        }


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
         "--warehouse", str(tmp_path / "w"), mode],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "DICOMHOUSE_MARK": mark},
    )  # fmt: skip
    deadline = time.monotonic() + 90
    while len(marked_processes(mark)) < 2:
        assert time.monotonic() < deadline
    while seen and not list((tmp_path / "w").rglob(seen)):
        assert build.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    begun = time.monotonic()
    build.send_signal(number)
    _, told = build.communicate(timeout=30)
    assert time.monotonic() - begun < 3
    assert build.returncode == 128 + number
    assert told.splitlines()[-1].startswith(f"dicomhouse: stopped by {signal.Signals(number).name}")
    assert "nanobind" not in told and "Query interrupted\n" not in told
    assert "Traceback" not in told and "for lack of memory" not in told
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


@pytest.mark.parametrize("words", [["--direct"], []])
def test_build_without_a_server_imports_no_prefect(
    tmp_path: Path, prefect_home: Path, words: list[str]
) -> None:
    build_cohort(tmp_path / "in", patients=1, slices=8)
    done = run_cli("build", str(tmp_path / "in"), "--warehouse", str(tmp_path / "w"), *words,
                   PYTHONPROFILEIMPORTTIME="1")  # fmt: skip
    assert done.returncode == 0
    imported = {line.split("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "dicomhouse.run.build" in imported
    assert not {name for name in imported if name.partition(".")[0] in ("prefect", "uvicorn")}


def test_server_that_cannot_start_is_told_by_its_own_words(
    tmp_path: Path, prefect_home: Path
) -> None:
    build_cohort(tmp_path / "in", patients=1, slices=8)
    nowhere = f"sqlite+aiosqlite:///{tmp_path}/nowhere/prefect.db"
    done = run_cli("build", str(tmp_path / "in"), "--warehouse", str(tmp_path / "w"), "--flow",
                   PREFECT_SERVER_DATABASE_CONNECTION_URL=nowhere)  # fmt: skip
    assert done.returncode == 9
    starts, told = done.stderr.splitlines()
    assert starts.startswith("a private Prefect server starts")
    assert told.startswith("dicomhouse: the Prefect server did not start: ")
    assert "unable to open database file" in told
    assert told.endswith("or build with --direct, which needs no server.")


def test_server_that_ends_during_the_run_is_told(tmp_path: Path, prefect_home: Path) -> None:
    build_cohort(tmp_path / "in", patients=1, slices=8)
    mark = uuid4().hex
    build = subprocess.Popen(
        [sys.executable, "-m", "dicomhouse", "build", str(tmp_path / "in"), "--flow",
         "--warehouse", str(tmp_path / "w")],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "DICOMHOUSE_MARK": mark},
    )  # fmt: skip
    assert build.stderr is not None
    while "Beginning flow run" not in build.stderr.readline():
        assert build.poll() is None
    (server,) = (
        process for process in marked_processes(mark)
        if b"server.py" in Path(f"/proc/{process}/cmdline").read_bytes()
    )  # fmt: skip
    os.kill(server, signal.SIGKILL)
    _, told = build.communicate()
    assert build.returncode == 9
    assert "the Prefect server ended during the run" in told.splitlines()[-1]
    assert "Traceback" not in told
    assert marked_processes(mark) == []


def test_private_server_ends_with_a_killed_parent(tmp_path: Path, prefect_home: Path) -> None:
    mark = uuid4().hex
    program = (
        "from dicomhouse.run.orchestrator import Server\n"
        "server = Server(); server.wait_until_ready(); print('ready', flush=True); input()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "DICOMHOUSE_MARK": mark},
    )  # fmt: skip
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    assert len(marked_processes(mark)) == 2
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 5
    while marked_processes(mark):
        assert time.monotonic() < deadline
        time.sleep(0.05)


CONFIGURATION = """
warehouse = "w"
[schedule]
every = 10
[[sources]]
name = "ward"
address = "in"
exclude = ["*.txt"]
"""


def test_short_schedule_fires_and_builds_as_the_file_says(
    tmp_path: Path, prefect_home: Path
) -> None:
    build_cohort(tmp_path / "in", patients=1, slices=8)
    (tmp_path / "in" / "letter.txt").write_text("not asked for")
    (tmp_path / "dicomhouse.toml").write_text(CONFIGURATION)
    with serving("--config", str(tmp_path / "dicomhouse.toml")):
        wait_for((tmp_path / "w" / "current").exists)
        with dicomhouse.open(tmp_path / "w") as opened:
            assert opened.sql("select source, count(*) from files group by all").rows() == [
                ("ward", 8)
            ]
    assert list(prefect_home.glob("*.login")) == []


def test_served_build_answers_its_owner_alone_and_reads_what_it_was_given(
    tmp_path: Path, prefect_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_LOGGING_TO_API_BATCH_INTERVAL", "0.1")  # seen while it still runs
    for folder in ("in", "other"):
        build_cohort(tmp_path / folder, patients=1, slices=8)
    with serving(str(tmp_path / "in"), "--warehouse", str(tmp_path / "w")) as port:
        api = api_of(port, prefect_home)
        (file,) = prefect_home.glob("*.login")
        assert file.stat().st_mode & 0o777 == 0o600
        (deployment,) = wait_for(lambda: api("deployments/filter", {}))
        runs = f"deployments/{deployment['id']}/create_flow_run"
        other = {"sources": [str(tmp_path / "other")], "warehouse": str(tmp_path / "stolen")}
        given = {"DICOMHOUSE_SERVED": json.dumps({**other, "jobs": 1})}
        for asked in ("deployments/filter", runs):
            assert ask(f"http://127.0.0.1:{port}/api/{asked}", {"parameters": other}) == (401, None)
        for asked, end in (
            ({"parameters": other, "enforce_parameter_schema": False}, "CRASHED"),
            ({"job_variables": {"env": given}}, "COMPLETED"),
        ):
            run = api(runs, asked)["id"]
            assert wait_for(lambda run=run: ended(api, run)) == end
        for _ in range(5):  # a run may be over before it hears of it
            end, told = cancelled(api, runs)
            assert "Traceback" not in told and "for lack of memory" not in told
            if "Flow run was cancelled." in told:
                break
        assert (end, "Flow run was cancelled." in told) == ("CANCELLED", True)
        assert not (tmp_path / "stolen").exists()
        with dicomhouse.open(tmp_path / "w") as opened:
            assert opened.sql("select distinct source from files").item() == "in"


def ended(api: Api, run: str) -> str | None:
    """The state in which a run has ended."""
    now: str = api(f"flow_runs/{run}")["state_type"]
    return now if now in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None


def cancelled(api: Api, runs: str) -> tuple[str, str]:
    """How a served run ends that is cancelled as its files are found, and what it logs."""
    run = api(runs, {"parameters": {"full_refresh": True}})["id"]

    def told() -> str:
        logs = api("logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}})
        return "\n".join(log["message"] for log in logs)

    wait_for(lambda: "scan: " in told())
    api(f"flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
    end: str = wait_for(lambda: ended(api, run))
    return end, wait_for(lambda: "Finished in state" in (words := told()) and words)
