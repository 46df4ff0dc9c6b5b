"""Prefect from outside: whether a server of it is configured, and a private one for a run.

Nothing here imports Prefect, which takes seconds: a private server is started before this process
does, so that both get ready at the same time.
"""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
import tomllib
from collections import deque
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dicomhouse.errors import ServerFailed, UsageError
from dicomhouse.filesystem import printable
from dicomhouse.resources import resource

_HOST = "127.0.0.1"
_START_SECONDS = 90
_STOP_SECONDS = 10
_LAST_WORDS = 3
_DATABASES = ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL")
_PRIVATE = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",  # seconds; no block is used
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT__SERVER_EPHEMERAL": "1",  # no schedules and the like
    "PREFECT__SERVER_FINAL": "1",  # no second app in this process
}
"""What a server that serves one run does without."""


def is_configured(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether PREFECT_API_URL stands in the environment, or in Prefect's active profile.

    Raises:
        UsageError: the profiles cannot be read, or PREFECT_PROFILE names none of them.
    """
    if "PREFECT_API_URL" in environment:
        return bool(environment["PREFECT_API_URL"])
    return bool(_profile(environment).get("PREFECT_API_URL"))


def _profile(environment: Mapping[str, str]) -> Mapping[str, Any]:
    """The settings of the active profile, found where Prefect looks for it in a user's home."""
    shipped = _profiles(_shipped_profiles())
    chosen = shipped
    path = environment.get("PREFECT_PROFILES_PATH")
    mine = Path(path) if path else _home(environment) / "profiles.toml"
    if path or environment.get("PREFECT_HOME") or mine.exists():
        chosen = _profiles(mine)
    name = environment.get("PREFECT_PROFILE") or chosen.get("active")
    profiles = chosen.get("profiles", {})
    if name and name not in profiles and name not in shipped.get("profiles", {}):
        raise UsageError(
            f"there is no Prefect profile {name}; {mine} has: {', '.join(profiles) or 'none'}. "
            "Name one of them in PREFECT_PROFILE, or build with --direct."
        )
    found: Mapping[str, Any] = profiles.get(name, {})
    return found


def _profiles(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not valid TOML"
        raise UsageError(
            f"cannot read Prefect's profiles in {path}: {why}. Mend them, or build with --direct."
        ) from error


def _shipped_profiles() -> Path:
    """Prefect's own profiles, which hold where a user has none."""
    found = find_spec("prefect")  # which does not import it
    (folder,) = (found and found.submodule_search_locations) or [""]
    return Path(folder, "settings", "profiles.toml")


def has_database(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a private server finds a database, and need not make one."""
    named = any(name in environment for name in _DATABASES)
    return named or (_home(environment) / "prefect.db").exists()


def _home(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("PREFECT_HOME") or "~/.prefect").expanduser()


class PrivateServer:
    """A Prefect server on a free port of loopback, which ends with this process.

    It listens as soon as it is made, and answers some seconds later.
    """

    def __init__(self) -> None:
        with socket.create_server((_HOST, 0)) as listening:
            self._port = listening.getsockname()[1]
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(resource("flows", "server.py")),
                 str(listening.fileno())],
                stdin=subprocess.PIPE,  # the lifeline
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[listening.fileno()],
                env={**os.environ, **_PRIVATE},
            )  # fmt: skip
        self._is_asked_to_end = False
        self._words: deque[bytes] = deque(maxlen=_LAST_WORDS)
        self._listener = threading.Thread(target=self._listen, daemon=True, name="server-words")
        self._listener.start()

    @property
    def environment(self) -> dict[str, str]:
        """What a client of the server needs, to be set before it imports Prefect."""
        proxies = {
            name: f"{os.environ[name]},{_HOST}" if os.environ.get(name) else _HOST
            for name in ("no_proxy", "NO_PROXY")
        }
        return {
            **proxies,
            "PREFECT_API_URL": f"http://{_HOST}:{self._port}/api",
            "PREFECT_UI_URL": "",  # nobody could open what it would name
            "DO_NOT_TRACK": "1",
        }

    def wait_until_ready(self) -> None:
        """Return once the server answers.

        Raises:
            ServerFailed: it ended, or stayed silent, with the last lines that it wrote.
        """
        connection = http.client.HTTPConnection(_HOST, self._port, timeout=_START_SECONDS)
        try:
            connection.request("GET", "/api/health")
            if connection.getresponse().status == http.client.OK:
                return
            why = "did not start"
        except TimeoutError:
            why = f"did not answer within {_START_SECONDS} s"
        except (OSError, http.client.HTTPException):
            why = "did not start"
        finally:
            connection.close()
        self._process.kill()
        self._process.wait()
        raise self._failure(why)

    def watch(self, ended: Callable[[ServerFailed], None]) -> None:
        """Have it told, in a thread, when the server ends though nobody asked it to."""

        def wait() -> None:
            self._process.wait()
            if not self._is_asked_to_end:
                ended(self._failure("ended during the run"))

        threading.Thread(target=wait, daemon=True, name="server-end").start()

    def stop(self) -> None:
        """Let the server write down what it was told, and end."""
        self._is_asked_to_end = True
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip():
                self._words.append(line)

    def _failure(self, why: str) -> ServerFailed:
        self._listener.join()
        words = " / ".join(os.fsdecode(line).strip() for line in self._words)
        return ServerFailed(
            f"the private Prefect server {why}: {printable(words) or 'it said nothing'}. "
            "Build with --direct, which needs none."
        )
