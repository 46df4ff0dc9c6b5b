"""The deployment that `dicomhouse serve` asks for: the build on a schedule, served from here.

`prefect.yaml` declares the other one, which the workers of a work pool carry out.

It is served by the Prefect server that is configured (PREFECT_API_URL, or Prefect's profile), or
else by one that starts here, on loopback, and ends with this process. That one answers only who
has its login, a new one each time, in a file that its owner alone can read. Sources and warehouse
are fixed here: what a run is asked for chooses neither.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from dicomhouse.cli.shared import say
from dicomhouse.errors import ServerFailed, UsageError
from dicomhouse.processes import leave_working_folder
from dicomhouse.resources import resource
from dicomhouse.run import orchestrator
from dicomhouse.settings import SERVED

_LOOKS_EVERY = 2
"""Seconds between two questions to a server of ours whether a run is due."""


def serve(chosen: argparse.Namespace) -> None:
    """Serve until the process is stopped.

    Raises:
        ServerFailed: the local server did not start.
        UsageError: the sources or the schedule are none.
    """
    folder = leave_working_folder(resource("flows"))
    settings = chosen.configuration.settings_of(
        chosen.source,
        chosen.warehouse,
        folder,
        {} if chosen.jobs is None else {"jobs": chosen.jobs},
    )
    os.environ[SERVED] = settings.served()
    if ignored := orchestrator.settle_environment(folder):
        say(f"these settings of Prefect's are set aside: {', '.join(ignored)}")
    with ExitStack() as at_end:
        server = None if orchestrator.is_configured() else _server(at_end)
        deployment = _deployment(chosen)
        if server is not None:
            server.wait_until_ready()
            server.watch(_give_up)
        if chosen.notify:
            script = str(resource("flows", "notify.py"))
            words = [script, chosen.notify, "--deployment", chosen.name]
            subprocess.run([sys.executable, "-P", *words], check=False)
        from prefect import serve as serve_deployment

        # Prefect's default is ten seconds, which somebody who asks for a run would wait.
        looks: dict[str, Any] = {} if server is None else {"query_seconds": _LOOKS_EVERY}
        serve_deployment(deployment, **looks)


def _deployment(chosen: argparse.Namespace) -> Any:
    """The served build under its schedule, one run at a time: a second one is cancelled."""
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.flows import load_flow_from_entrypoint
    from prefect.schedules import Schedule

    build: Any = load_flow_from_entrypoint(f"{resource('flows', 'build.py')}:served")
    every = timedelta(seconds=chosen.every) if chosen.every else None
    try:
        schedule = Schedule(every, None if every else chosen.cron, timezone=chosen.timezone)
    except ValueError:
        raise UsageError(
            f"no cron schedule {chosen.cron}. Give minute, hour, day, month and weekday, as in "
            "'0 2 * * *'."
        ) from None
    return build.to_deployment(
        chosen.name,
        schedule=schedule,
        concurrency_limit=ConcurrencyLimitConfig(
            limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
        ),
        tags=["dicomhouse"],
    )


def _server(at_end: ExitStack) -> orchestrator.Server:
    """A server of ours, whose login is written down for its owner."""
    orchestrator.check_home()
    port = int(os.environ.get("PREFECT_SERVER_API_PORT") or 4200)
    try:
        server = orchestrator.Server(port, orchestrator.SERVING, say)
    except OSError as error:
        raise ServerFailed(
            f"cannot listen on port {port}: {error.strerror}. Does a server run there? Name it in "
            "PREFECT_API_URL, or another port in PREFECT_SERVER_API_PORT."
        ) from error
    at_end.callback(server.stop)
    os.environ |= server.environment
    login = orchestrator.prefect_home() / f"serve-{port}.login"
    login.unlink(missing_ok=True)
    at_end.callback(login.unlink, missing_ok=True)
    with os.fdopen(os.open(login, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(server.login)
    say(f"a Prefect server starts on http://127.0.0.1:{port}; its login is in {login}")
    return server


def _give_up(error: ServerFailed) -> None:
    say(f"dicomhouse: {error}")
    os._exit(error.exit_code)
