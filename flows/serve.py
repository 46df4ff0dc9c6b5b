"""A local Prefect server and the scheduled build beside it, ended together.

`python flows/serve.py SOURCE... --warehouse DIR` takes what `deployments.py` takes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from dicomhouse.processes import hold_lifeline, supervise

_SUPERVISED = "DICOMHOUSE_SUPERVISED"
API = "http://127.0.0.1:{port}/api"


def main() -> int:
    """Serve in a process group of its own, so that a stop ends server, schedule and runs alike."""
    if os.environ.pop(_SUPERVISED, None) is None:
        os.environ[_SUPERVISED] = "1"
        return supervise([sys.executable, *sys.argv])
    hold_lifeline()
    return serve(sys.argv[1:])


def serve(arguments: list[str]) -> int:
    """Start the server, wait until it answers, serve the deployment until it ends."""
    port = os.environ.get("PREFECT_SERVER_API_PORT", "4200")
    api = API.format(port=port)
    environment = {
        **os.environ,
        "PREFECT_API_URL": api,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    prefect = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1"]
    server = subprocess.Popen([*prefect, "--port", port], env=environment)
    await_server(f"{api}/health", server)
    deployments = Path(__file__).with_name("deployments.py")
    command = [sys.executable, str(deployments), *arguments]
    return subprocess.run(command, env=environment, check=False).returncode


def await_server(health: str, server: subprocess.Popen[bytes], seconds: float = 90) -> None:
    """Return once the server answers; SystemExit where it ends or stays silent."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SystemExit("the Prefect server ended while starting. Is its port taken?")
        try:
            with urllib.request.urlopen(health, timeout=2):
                return
        except OSError:
            time.sleep(0.3)
    raise SystemExit(f"the Prefect server did not answer within {seconds:.0f} s.")


if __name__ == "__main__":
    sys.exit(main())
