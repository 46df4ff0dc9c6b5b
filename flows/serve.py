"""Serve the build on a schedule: `python flows/serve.py SOURCE... --warehouse DIR`.

It is served by the Prefect server that is configured (PREFECT_API_URL, or Prefect's profile), or
else by one that starts here, on loopback, and ends with this process. That one answers only who
has its login, a new one each time, in a file that its owner alone can read. Sources and warehouse
are fixed here: what a run is asked for chooses neither.
"""

from __future__ import annotations

import argparse
import atexit
import os
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from dicomhouse import configuration
from dicomhouse.errors import DicomhouseError, ServerFailed
from dicomhouse.processes import hold_lifeline, leave_working_folder, supervise
from dicomhouse.run import orchestrator
from dicomhouse.settings import SERVED

_SUPERVISED = "DICOMHOUSE_SUPERVISED"
_NIGHTLY = "0 2 * * *"


def main() -> int:
    """Serve in a process group of its own, so that a stop ends server, schedule and runs alike."""
    chosen = _parser().parse_args()
    if os.environ.pop(_SUPERVISED, None) is None:
        os.environ[_SUPERVISED] = "1"
        return supervise([str(Path(__file__).resolve()), *sys.argv[1:]])
    hold_lifeline()
    try:
        _serve(chosen)
    except DicomhouseError as error:
        _say(error.told)
        return error.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", nargs="*", help="as of `dicomhouse build`; or dicomhouse.toml's")
    parser.add_argument("--warehouse", type=Path)
    parser.add_argument("--config", type=Path, help="a dicomhouse.toml (default: that here)")
    parser.add_argument("--jobs", type=int, help="worker processes (default: one a core)")
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--cron", help=f"when to run (default: {_NIGHTLY!r})")
    when.add_argument(
        "--every", type=float, metavar="SECONDS", help="an interval instead of a cron schedule"
    )
    parser.add_argument("--name", default="nightly", help="the deployment's name")
    return parser


def _serve(chosen: argparse.Namespace) -> None:
    told = configuration.read(configuration.find(chosen.config))
    folder = leave_working_folder(Path(__file__).parent)
    given = {} if chosen.jobs is None else {"jobs": chosen.jobs}
    warehouse = chosen.warehouse or told.warehouse
    settings = told.settings_of(chosen.source, warehouse, folder, given)
    os.environ[SERVED] = settings.served()
    if ignored := orchestrator.settle_environment(folder):
        _say(f"these settings of Prefect's are set aside: {', '.join(ignored)}")
    server = None if orchestrator.is_configured() else _server()
    from prefect.flows import load_flow_from_entrypoint

    build: Any = load_flow_from_entrypoint(f"{Path(__file__).with_name('build.py')}:served")
    if server is not None:
        server.wait_until_ready()
        server.watch(_give_up)
    build.serve(name=chosen.name, limit=1, schedule=_schedule(chosen, told.schedule))


def _schedule(chosen: argparse.Namespace, told: Mapping[str, Any]) -> Any:
    """When to run: as the flags say, or else the configuration."""
    from prefect.schedules import Cron, Interval

    every = chosen.every or (None if chosen.cron else told.get("every"))
    timezone = told.get("timezone")
    if every:
        return Interval(timedelta(seconds=every), timezone=timezone)
    return Cron(chosen.cron or told.get("cron", _NIGHTLY), timezone=timezone)


def _server() -> orchestrator.Server:
    """A server of ours, whose login is written down for its owner."""
    orchestrator.check_home()
    port = int(os.environ.get("PREFECT_SERVER_API_PORT") or 4200)
    try:
        server = orchestrator.Server(port, orchestrator.SERVING, _pass_on)
    except OSError as error:
        raise ServerFailed(
            f"cannot listen on port {port}: {error.strerror}. Does a server run there? Name it in "
            "PREFECT_API_URL, or another port in PREFECT_SERVER_API_PORT."
        ) from error
    atexit.register(server.stop)
    os.environ |= server.environment
    login = orchestrator.prefect_home() / f"serve-{port}.login"
    login.unlink(missing_ok=True)
    atexit.register(login.unlink, missing_ok=True)
    with os.fdopen(os.open(login, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(server.login)
    _say(f"a Prefect server starts on http://127.0.0.1:{port}; its login is in {login}")
    return server


def _give_up(error: ServerFailed) -> None:
    _say(str(error))
    os._exit(error.exit_code)


def _pass_on(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _say(line: str) -> None:
    print(f"serve: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
