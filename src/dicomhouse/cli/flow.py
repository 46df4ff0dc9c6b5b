"""A run of the Prefect flow in this process, on the configured server or a private one."""

from __future__ import annotations

import atexit
import gc
import os
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from dicomhouse.cli.shared import say
from dicomhouse.errors import ServerFailed
from dicomhouse.resources import resource
from dicomhouse.run import orchestrator
from dicomhouse.settings import SERVED, Settings

_IMPORTED_LATER = ("dicomhouse.lake.extract", "dicomhouse.lake.rewrite", "fastapi.encoders",
                   "prefect.flow_engine", "prefect.task_engine",
                   "prefect.utilities.visualization")  # fmt: skip
"""By a flow's run, which has time for it while its private server starts."""


def run_flow(settings: Settings) -> dict[str, Any]:
    """Run the Prefect flow in this process, on the configured server or a private one."""
    server = None
    if not orchestrator.is_configured():
        orchestrator.check_home()
        makes = "" if orchestrator.has_database() else " and makes its database, once"
        say(f"a private Prefect server starts{makes}; --direct builds without one")
        server = orchestrator.Server()
        atexit.register(server.stop)  # when Prefect's threads have told it all
        os.environ |= server.environment | {"PREFECT_UI_URL": ""}  # there is none to be named
    gc.disable()  # thousands of modules come, and none of them goes
    from dicomhouse.run.checks import check_settings, check_sources

    check_settings(settings)  # wrong usage is told before the server answers
    check_sources(settings)
    from prefect.flows import load_flow_from_entrypoint

    os.environ[SERVED] = settings.served()  # parameters would stand in Prefect's database
    flow: Any = load_flow_from_entrypoint(f"{resource('flows', 'build.py')}:served")
    if server is not None:
        for name in _IMPORTED_LATER:
            with suppress(ImportError):
                import_module(name)
    gc.freeze()
    gc.enable()
    if server is None:
        _check_configured_server()
    else:
        server.wait_until_ready()
        server.watch(_give_up)
    record: dict[str, Any] = flow()  # all that is chosen stands in what is served
    if server is not None:
        remove_old_runs()
    return record


def remove_old_runs() -> None:
    """Let a private server forget old runs, which one that serves does by itself."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterEndTime

    before = datetime.now(UTC) - orchestrator.RUNS_ARE_KEPT
    old = FlowRunFilterEndTime.model_validate({"before_": before})
    chosen = FlowRunFilter(end_time=old)
    try:
        with get_client(sync_client=True) as client:
            for run in client.read_flow_runs(flow_run_filter=chosen, limit=100):
                client.delete_flow_run(run.id)
    except Exception as error:  # whatever it is: the warehouse is published
        say(f"Prefect's old runs stay until another build: {type(error).__name__}")


def _check_configured_server() -> None:
    """Ask for its version, as the flow will, whose failure would be told in a hundred lines.

    Raises:
        ServerFailed: it does not answer, or refuses the login.
    """
    from httpx import HTTPError
    from prefect.client.orchestration import get_client

    try:
        with get_client(sync_client=True) as client:
            client.raise_for_api_version_mismatch()
    except (HTTPError, RuntimeError) as error:
        why = str(error).partition(" - ")[0].rstrip(".")
        raise ServerFailed(
            f"Prefect, as configured: {why}. Start the server, mend PREFECT_API_URL or "
            "PREFECT_API_AUTH_STRING, or build with --direct."
        ) from error


def _give_up(error: ServerFailed) -> None:
    """End here and now: a flow whose server is gone asks it again for minutes.

    What was read is kept for the next run, as after any end.
    """
    say(f"dicomhouse: {error}")
    os._exit(error.exit_code)
