"""The flow's parameters, and what `prefect.yaml` makes of them, without a server."""

from __future__ import annotations

import logging
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import run_cli
from places import ROOT

from dicomhouse.cli.serve import NIGHTLY
from dicomhouse.errors import UsageError
from dicomhouse.resources import resource


@pytest.fixture(scope="module")
def flow() -> Any:
    from prefect.flows import load_flow_from_entrypoint

    return load_flow_from_entrypoint(f"{resource('flows', 'build.py')}:build")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"jobs": 0}, "jobs"),
        ({"jobs": "many"}, "jobs"),
        ({"sources": [""]}, "sources"),
        ({"tolerances": {"slice_gap": -1}}, "tolerances"),
        ({"keep_generations": 0}, "keep_generations"),
    ],
)
def test_bad_value_is_told_by_its_field(flow: Any, given: dict[str, Any], field: str) -> None:
    from prefect.exceptions import ParameterTypeError

    good = {name: p.default for name, p in signature(flow.fn).parameters.items()}
    good |= {"sources": ["/data"], "warehouse": "w"}
    flow.validate_parameters(good)
    with pytest.raises(ParameterTypeError, match=field):
        flow.validate_parameters(good | given)


def test_every_parameter_of_the_form_is_described(flow: Any) -> None:
    form = flow.parameters.model_dump()["properties"]
    assert form.keys() == signature(flow.fn).parameters.keys()
    assert all(field.get("description") for field in form.values())


def test_prefect_yaml_deploys_what_is_served(flow: Any) -> None:
    declared = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    (deployment,) = declared["deployments"]
    assert deployment["entrypoint"] == "flows/build.py:build"
    assert deployment["parameters"].keys() <= signature(flow.fn).parameters.keys()
    assert deployment["schedules"] == [{"cron": NIGHTLY, "timezone": "UTC"}]
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    assert deployment["work_pool"] == {"name": "dicomhouse"}


@pytest.mark.parametrize("stopped", [True, False])
def test_stop_while_prefect_makes_a_task_run_is_a_stop(
    flow: Any, stopped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.exceptions import TerminationSignal

    def settings() -> None:
        try:
            raise TerminationSignal(15) if stopped else KeyError
        except (TerminationSignal, KeyError):
            raise ValueError("Task run is not set")  # noqa: B904 -- as Prefect says it

    module = flow.fn.__globals__
    monkeypatch.setitem(module, "get_run_logger", logging.getLogger)
    with pytest.raises(TerminationSignal if stopped else ValueError):
        module["_carried_out"](settings)


def test_time_zone_that_is_none_is_told() -> None:
    from dicomhouse import configuration
    from dicomhouse.cli import commands, serve

    chosen = commands.parser().parse_args(["serve", "/data", "--timezone", "Europe/Berlim"])
    chosen.configuration = configuration.read(None)
    with pytest.raises(UsageError, match="no time zone Europe/Berlim"):
        serve.run(chosen)


def test_cron_schedule_that_is_none_is_told(tmp_path: Path) -> None:
    server = {"PREFECT_API_URL": "http://127.0.0.1:9/api"}
    told = run_cli("serve", str(tmp_path), "--cron", "0 2 * *", **server)
    assert told.returncode == UsageError.exit_code
    assert "no cron schedule 0 2 * *." in told.stderr
