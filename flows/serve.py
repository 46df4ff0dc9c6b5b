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
from datetime import timedelta
from pathlib import Path
from typing import Any

from dicomhouse.errors import DicomhouseError, ServerFailed
from dicomhouse.processes import hold_lifeline, leave_working_folder, supervise
from dicomhouse.run import orchestrator
from dicomhouse.settings import SERVED, Settings, absolute_source

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
    parser.add_argument("source", nargs="+", help="a folder of DICOM files, or NAME=PATH")
    parser.add_argument("--warehouse", type=Path, default=Path("warehouse"))
    parser.add_argument("--jobs", type=int, help="worker processes (default: one a core)")
    parser.add_argument("--cron", default=_NIGHTLY, help=f"when to run (default: {_NIGHTLY!r})")
    parser.add_argument(
        "--every", type=float, metavar="SECONDS", help="an interval instead of a cron schedule"
    )
    parser.add_argument("--name", default="nightly", help="the deployment's name")
    return parser


def _serve(chosen: argparse.Namespace) -> None:
    folder = leave_working_folder(Path(__file__).parent)
    settings = Settings(
        sources=tuple(absolute_source(source, folder) for source in chosen.source),
        warehouse=folder / chosen.warehouse,
        **({} if chosen.jobs is None else {"jobs": chosen.jobs}),
    )
    os.environ[SERVED] = settings.served()
    if ignored := orchestrator.settle_environment(folder):
        _say(f"these settings of Prefect's are set aside: {', '.join(ignored)}")
    server = None if orchestrator.is_configured() else _server()
    from prefect.flows import load_flow_from_entrypoint

    build: Any = load_flow_from_entrypoint(f"{Path(__file__).with_name('build.py')}:served")
    if server is not None:
        server.wait_until_ready()
        server.watch(_give_up)
    when = {"interval": timedelta(seconds=chosen.every)} if chosen.every else {"cron": chosen.cron}
    build.serve(name=chosen.name, limit=1, **when)


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
