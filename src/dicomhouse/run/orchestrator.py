"""Prefect from outside: which of its settings count, whether a server is configured, one of ours.

Nothing here imports Prefect, which takes seconds: a server of ours is started before this process
does, so that both get ready at the same time.
"""

from __future__ import annotations

import http.client
import os
import secrets
import socket
import subprocess
import sys
import threading
import tomllib
from collections import deque
from collections.abc import Callable, Mapping, MutableMapping
from datetime import timedelta
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from dicomhouse.errors import ServerFailed, StorageError, UsageError
from dicomhouse.filesystem import printable
from dicomhouse.resources import resource

_RESPECTED = (
    # Which server a run is told to, and who tells it.
    "PREFECT_API_URL",
    "PREFECT_API_KEY",
    "PREFECT_API_AUTH_STRING",
    "PREFECT_API_SSL_CERT_FILE",
    "PREFECT_API_TLS_INSECURE_SKIP_VERIFY",
    "PREFECT_API_ENABLE_HTTP2",
    "PREFECT_API_REQUEST_TIMEOUT",
    "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED",
    "PREFECT_CLIENT_CUSTOM_HEADERS",
    "PREFECT_CLIENT_MAX_RETRIES",
    "PREFECT_CLIENT_RETRY_*",
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED",
    "PREFECT_CLOUD_API_URL",
    "PREFECT_CLOUD_UI_URL",
    "PREFECT_UI_URL",
    # The user's own folder of Prefect, and the profile in it.
    "PREFECT_HOME",
    "PREFECT_PROFILE",
    "PREFECT_PROFILES_PATH",
    # How much is told.
    "PREFECT_LOGGING_LEVEL",
    "PREFECT_LOGGING_SERVER_LEVEL",
    "PREFECT_SERVER_LOGGING_LEVEL",
    "PREFECT_LOGGING_COLORS",
    "PREFECT_LOGGING_TO_API_*",
    # Where a server of ours keeps its runs, and where it listens.
    "PREFECT_SERVER_DATABASE_*",
    "PREFECT_API_DATABASE_*",
    "PREFECT_SERVER_API_PORT",
)
"""The settings of Prefect's that a user may rightly have in the environment.

All others are set aside. Some name code or a file to load (`PREFECT_LOGGING_SETTINGS_PATH`,
`PREFECT_SERVER_EVENTS_MESSAGING_BROKER`, plugins, serializers), some change what a run does
(retries, caching, results that are kept, test mode), some what a server of ours lets others do.
Prefect reads their names in any case; here they count as they are written.
"""
_HOST = "127.0.0.1"
_START_SECONDS = 90
_STOP_SECONDS = 10
_LAST_WORDS = 3
_DATABASES = ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL")

RUNS_ARE_KEPT = timedelta(days=90)
"""Then a server of ours forgets a flow run, with its logs."""
_TOLD_NOTHING = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
SERVING = {
    **_TOLD_NOTHING,
    "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": "",  # no page of another origin has business here
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(int(RUNS_ARE_KEPT.total_seconds())),
}
"""The settings of every server of ours."""
PRIVATE = {
    **SERVING,
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",  # seconds; no block is used
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT__SERVER_EPHEMERAL": "1",  # no schedules and the like
    "PREFECT__SERVER_FINAL": "1",  # no second app in this process
}
"""Those of a server for one run."""


def settle_environment(
    folder: Path, environment: MutableMapping[str, str] = os.environ
) -> list[str]:
    """Take Prefect's settings that do not count out of the environment; returns their names.

    A database's file is named from `folder`, the working folder of who has set it. Prefect's makers
    are told nothing.
    """
    found = [name for name in environment if name.upper().startswith("PREFECT_")]
    names = [name for name in found if not any(fnmatchcase(name, kept) for kept in _RESPECTED)]
    for name in names:
        del environment[name]
    for name in _DATABASES:
        kind, _, file = environment.get(name, "").partition(":///")
        if kind.startswith("sqlite") and file and not file.startswith((":memory:", "file:")):
            environment[name] = f"{kind}:///{folder / file}"
    environment.update(_TOLD_NOTHING)
    return sorted(names)


def is_configured(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a run is told to a server that somebody else has started.

    Raises:
        UsageError: as `api_url`.
    """
    return bool(api_url(environment))


def api_url(environment: Mapping[str, str] = os.environ) -> str | None:
    """PREFECT_API_URL, of the environment or of Prefect's active profile.

    Raises:
        UsageError: the profiles cannot be read, or PREFECT_PROFILE names none of them.
    """
    if "PREFECT_API_URL" in environment:
        return environment["PREFECT_API_URL"] or None
    return _profile(environment).get("PREFECT_API_URL") or None


def _profile(environment: Mapping[str, str]) -> Mapping[str, Any]:
    """The settings of the active profile, found where Prefect looks for it in a user's home."""
    shipped = _profiles(_shipped_profiles())
    chosen = shipped
    path = environment.get("PREFECT_PROFILES_PATH")
    mine = Path(path) if path else prefect_home(environment) / "profiles.toml"
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


def prefect_home(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder in which Prefect keeps what it keeps of a user."""
    return Path(environment.get("PREFECT_HOME") or "~/.prefect").expanduser()


def check_home() -> None:
    """Raise what a server of ours would, after a minute and in a thousand lines.

    Raises:
        StorageError: Prefect's folder cannot be written.
    """
    home = prefect_home()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise StorageError(
            f"cannot write {home}, where Prefect keeps its runs: {error.strerror}. Name a folder "
            "of yours in PREFECT_HOME, or build with --direct, which needs none."
        ) from error


def has_database(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a server of ours finds a database, and need not make one."""
    named = any(name in environment for name in _DATABASES)
    return named or (prefect_home(environment) / "prefect.db").exists()


class Server:
    """A Prefect server on loopback, which ends with this process and answers its own clients alone.

    It listens as soon as it is made, and answers some seconds later.
    """

    def __init__(
        self,
        port: int = 0,
        settings: Mapping[str, str] = PRIVATE,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Start it, on any free port by default; `tell` gets the lines that it writes.

        Raises:
            OSError: the port is taken.
        """
        with socket.create_server((_HOST, port)) as listening:
            self.port: int = listening.getsockname()[1]
            self.login = f"dicomhouse:{secrets.token_urlsafe(32)}"
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(resource("flows", "server.py")),
                 str(listening.fileno())],
                stdin=subprocess.PIPE,  # the lifeline
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[listening.fileno()],
                env={**os.environ, **self.environment, **settings,
                     "PREFECT_SERVER_API_AUTH_STRING": self.login},
            )  # fmt: skip
        self._is_asked_to_end = False
        self._tell = tell
        self._words: deque[str] = deque(maxlen=_LAST_WORDS)
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
            "PREFECT_API_URL": f"http://{_HOST}:{self.port}/api",
            "PREFECT_API_AUTH_STRING": self.login,
        }

    def wait_until_ready(self) -> None:
        """Return once the server answers.

        Raises:
            ServerFailed: it ended, or stayed silent, with the last lines that it wrote.
        """
        connection = http.client.HTTPConnection(_HOST, self.port, timeout=_START_SECONDS)
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
            if words := printable(os.fsdecode(line.rstrip())):
                self._words.append(words.lstrip())
                self._tell(words)

    def _failure(self, why: str) -> ServerFailed:
        self._listener.join()
        return ServerFailed(
            f"the Prefect server {why}: {' / '.join(self._words) or 'it said nothing'}. "
            "Mend that, or build with --direct, which needs no server."
        )
