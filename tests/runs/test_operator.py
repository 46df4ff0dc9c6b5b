"""What an operator sees of a served build: names, artifacts, failures, and who is told of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import run_cli
from serving import Api, api_of, ask, login_of, serving, wait_for, webhook

from dicomhouse.testing import build_cohort

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def test_operator_reads_runs_and_is_told(tmp_path: Path, prefect_home: Path) -> None:
    source = tmp_path / "in"
    build_cohort(source, patients=1, slices=8, defects=[("missing_slice", 0)])
    words = (f"ward_a={source}", "--warehouse", str(tmp_path / "w"))
    with webhook() as (hook, told), serving(*words, "--notify", hook) as port:
        url = f"http://127.0.0.1:{port}/api"
        api = api_of(port, prefect_home)
        login = login_of(prefect_home)
        (deployment,) = wait_for(lambda: api("deployments/filter", {}))
        assert_form_is_complete(deployment)
        runs = f"deployments/{deployment['id']}/create_flow_run"
        assert ask(f"{url}/{runs}", {"parameters": {"retry": "perhaps"}}, login)[0] in (409, 422)

        def ended(run: dict[str, Any]) -> Any:
            now = api(f"flow_runs/{run['id']}")
            return now if now["state_type"] in ENDED else None

        asked = [api(runs, {}) for _ in range(3)]  # at least two of them begin together
        states = [wait_for(lambda run=run: ended(run)) for run in asked]
        assert {state["state_type"] for state in states} == {"CANCELLED", "COMPLETED"}
        done = {state["name"] for state in states if state["state_type"] == "COMPLETED"}
        assert "ward_a · generation 1" in done
        tasks = {one["name"] for one in api("task_runs/filter", {})}
        assert tasks >= {"extract ward_a 1 of 1", "prepare", "transform", "publish"}
        assert_artifacts(api("artifacts/filter", {}))
        wait_for(lambda: [text for text in told if "1 new error" in text])

        shutil.move(source, tmp_path / "unmounted")
        third = api(runs, {})
        failed = wait_for(lambda: ended(third))
        assert failed["state_type"] == "FAILED"
        message = failed["state"]["message"]
        assert message.startswith("source <source>: no folder <folder>. Is it mounted?")
        logs = api("logs/filter", {"logs": {"flow_run_id": {"any_": [failed["id"]]}}})
        words = "\n".join(log["message"] for log in logs)
        assert "Traceback" not in words and str(source) not in words
        (text,) = wait_for(lambda: [text for text in told if "Is it mounted?" in text])
        assert text.startswith("dicomhouse nightly failed\nbuild 20")
        assert_late_and_missing_runs_are_told(api, deployment["flow_id"], hook, told, port, login)


def assert_form_is_complete(deployment: dict[str, Any]) -> None:
    form = deployment["parameter_openapi_schema"]["properties"]
    assert list(form) == [
        "full_refresh", "retry", "verify", "pixels", "allow_empty", "allow_shrink",
    ]  # fmt: skip
    assert all(field["description"] and field["type"] == "boolean" for field in form.values())
    assert deployment["description"].startswith("Folders of DICOM files in")
    assert deployment["global_concurrency_limit"]["limit"] == 1
    assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"


def assert_artifacts(artifacts: list[dict[str, Any]]) -> None:
    by_key = {one["key"]: one["data"] for one in artifacts}
    assert by_key.keys() == {
        "extraction", "files-by-status", "new-findings", "seconds-per-model", "summary",
    }  # fmt: skip
    assert by_key["extraction"] == 100
    assert json.loads(by_key["files-by-status"]) == [{"status": "ok", "files": 7}]
    (error,) = (one for one in json.loads(by_key["new-findings"]) if one["severity"] == "error")
    assert (error["rule"], error["new"]) == ("missing_slices", 1)
    models = json.loads(by_key["seconds-per-model"])
    assert {one["kind"] for one in models} >= {"model"}
    assert [one["seconds"] for one in models] == sorted(
        (one["seconds"] for one in models), reverse=True
    )
    assert "# Generation 1" in by_key["summary"]
    assert "| error | 0 | 1 |" in by_key["summary"]
    assert "P000" not in json.dumps(artifacts)  # of a patient's ID


def assert_late_and_missing_runs_are_told(
    api: Api, flow: str, hook: str, told: list[str], port: int, login: str
) -> None:
    """Of a deployment that nobody serves; what `notify` made before, it replaces."""
    idle = api("deployments/", {"name": "idle", "flow_id": flow})
    server = {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api", "PREFECT_API_AUTH_STRING": login}
    for within in ("1", "0.003"):
        words = ("notify", hook, "--deployment", "idle", "--within", within)
        done = run_cli(*words, **server)
        assert done.returncode == 0, done.stderr
    names = sorted(one["name"] for one in api("automations/filter", {}))
    assert [name for name in names if " idle " in name] == [
        f"dicomhouse idle {what}" for what in ("did not come", "failed", "late", "new errors")
    ]
    due = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2026-01-01T00:00:00Z"}}
    run = api(f"deployments/{idle['id']}/create_flow_run", {"state": due})
    wait_for(lambda: [text for text in told if text.startswith("dicomhouse idle late\n")])
    api(f"flow_runs/{run['id']}/set_state", {"state": {"type": "COMPLETED"}, "force": True})
    wait_for(lambda: [text for text in told if text.startswith("dicomhouse idle did not come\n")])
    silent = run_cli("notify", "--off", "--deployment", "idle", **server)
    assert silent.stdout == "runs of idle are told to nobody\n"
    assert len(api("automations/filter", {})) == 4


def test_batch_whose_storage_is_away_is_tried_again(tmp_path: Path, prefect_home: Path) -> None:
    build_cohort(tmp_path / "in", patients=1, slices=8)
    program = (
        "import sys, errno, pathlib\n"
        "from dicomhouse.cli import main\n"
        "from dicomhouse.store import jobs\n"
        "whole, away = jobs._extract, [errno.EIO]\n"
        "def extract(*given):\n"
        "    if away: raise OSError(away.pop(), 'away')\n"
        "    return whole(*given)\n"
        "jobs._extract = extract\n"
        "sys.exit(main())\n"
    )
    words = ("build", f"ward_a={tmp_path}/in", "--warehouse", str(tmp_path / "w"), "--flow")
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, *words], capture_output=True, text=True,
        env={**os.environ, "DICOMHOUSE_SUPERVISED": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "cannot write the lake: Input/output error" in done.stderr
    assert "Retry 1/2 will start 10 second(s) from now" in done.stderr
    assert "Traceback" not in done.stderr
    assert "images     7" in done.stdout or "images     8" in done.stdout


def test_notify_without_a_server_is_told(new_prefect_home: Path) -> None:
    done = run_cli("notify", "http://127.0.0.1:9/hook")
    assert (done.returncode, "PREFECT_API_URL" in done.stderr) == (2, True)
    for words in ([], ["ftp://x"], ["--off", "http://x"]):
        assert run_cli("notify", *words).returncode == 2
    environment = {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_CLIENT_MAX_RETRIES": "0"}
    lost = run_cli("notify", "http://127.0.0.1:9/hook", **environment)
    assert lost.returncode == 9
    assert "Traceback" not in lost.stderr and os.environ["HOME"] not in lost.stderr
