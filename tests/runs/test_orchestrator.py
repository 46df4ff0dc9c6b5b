"""Prefect from outside: what is configured is found as Prefect finds it, without importing it."""

from __future__ import annotations

import os
import subprocess
import sys
from base64 import b64encode
from email.message import Message
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from commands import run_cli

from dicomhouse.errors import UsageError
from dicomhouse.run.orchestrator import Server, is_configured, settle_environment

PROFILES = """
active = "here"
[profiles.here]
PREFECT_API_URL = "http://127.0.0.1:4201/api"
[profiles.ephemeral]
PREFECT_SERVER_EPHEMERAL_ENABLED = "true"
"""
URL = "http://127.0.0.1:4202/api"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("environment", "profiles", "configured"),
    [
        ({}, None, False),
        ({"PREFECT_API_URL": URL}, None, True),
        ({}, PROFILES, True),
        ({"PREFECT_API_URL": ""}, PROFILES, False),
        ({"PREFECT_PROFILE": "ephemeral"}, PROFILES, False),
        ({"PREFECT_PROFILE": ""}, PROFILES, True),
        ({"PREFECT_PROFILE": "here"}, PROFILES.replace('"here"', '"ephemeral"'), True),
        ({"PREFECT_PROFILE": "local"}, PROFILES, False),  # which only Prefect's own file has
        ({"PREFECT_PROFILES_PATH": "other.toml"}, PROFILES, False),
    ],
)
def test_server_is_configured_where_prefect_says_so(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    profiles: str | None,
    configured: bool,
) -> None:
    import prefect.settings

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if profiles:
        (home / "profiles.toml").write_text(profiles)
    assert is_configured() is configured
    assert bool(prefect.settings.Settings().api.url) is configured


def test_profile_that_prefect_ships_is_found_where_there_are_no_others(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_HOME")
    monkeypatch.setenv("HOME", str(home))
    assert not is_configured()
    monkeypatch.setenv("PREFECT_PROFILE", "local")
    assert is_configured()


def test_working_folder_configures_no_server(home: Path) -> None:
    for name, text in {
        ".env": f"PREFECT_API_URL={URL}\n",
        "prefect.toml": f'[api]\nurl = "{URL}"\n',
        "pyproject.toml": f'[tool.prefect.api]\nurl = "{URL}"\n',
        "profiles.toml": PROFILES,
    }.items():
        Path(name).write_text(text)
    assert not is_configured()


def test_profiles_that_say_nothing_sure_are_told(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "profiles.toml").write_text(PROFILES)
    monkeypatch.setenv("PREFECT_PROFILE", "heer")
    with pytest.raises(UsageError, match=r"no Prefect profile heer.*has: here, ephemeral"):
        is_configured()
    (home / "profiles.toml").write_text("active =")
    with pytest.raises(UsageError, match="not valid TOML"):
        is_configured()


def test_nothing_of_prefect_is_imported_to_know(home: Path) -> None:
    (home / "profiles.toml").write_text(PROFILES)
    program = (
        "import sys; from dicomhouse.run.orchestrator import is_configured;"
        "print(is_configured(), [m for m in sys.modules if m.startswith('prefect')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "True []\n"


@pytest.mark.parametrize("words", [[], ["--flow"]])
def test_configured_server_that_does_not_answer_is_told(
    home: Path, tmp_path: Path, words: list[str]
) -> None:
    (home / "profiles.toml").write_text(PROFILES.replace(":4201", ":9"))
    done = run_cli("build", str(tmp_path), "--warehouse", str(tmp_path / "w"), *words)
    assert done.returncode == 9
    (told,) = done.stderr.splitlines()
    assert told.startswith("dicomhouse: Prefect, as configured: Failed to reach API at http://127")


def test_old_runs_that_cannot_be_removed_end_no_build(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from dicomhouse.cli import flow; flow.remove_old_runs()"],
        capture_output=True, text=True, env={**os.environ, "PREFECT_API_URL": "http://127.0.0.1:9"},
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (0, 1), done.stderr
    assert done.stderr.startswith("Prefect's old runs stay until another build: ")


def test_server_answers_who_has_its_login_and_no_other_page(prefect_home: Path) -> None:
    server = Server()
    try:
        server.wait_until_ready()
        secret = server.login.partition(":")[2].encode()
        assert len(secret) >= 32
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
        lines = [Path(f"/proc/{child}/cmdline").read_bytes() for child in children]
        assert any(b"server.py" in line for line in lines)
        assert not any(secret in line for line in lines)
        url = f"{server.environment['PREFECT_API_URL']}/flows/count"
        assert answer(url, {})[0] == 401
        assert answer(url, {"authorization": basic(f"{server.login}x")})[0] == 401
        status, headers = answer(
            url, {"authorization": basic(server.login), "origin": "http://localhost:8000"}
        )
        assert status == 200
        assert "access-control-allow-origin" not in headers
    finally:
        server.stop()


def basic(login: str) -> str:
    return f"Basic {b64encode(login.encode()).decode()}"


def answer(url: str, headers: dict[str, str]) -> tuple[int, Message]:
    try:
        with urlopen(Request(url, b"{}", {"content-type": "application/json", **headers})) as told:
            return told.status, told.headers
    except HTTPError as error:
        return error.code, error.headers


def test_settings_that_load_code_or_change_a_run_are_set_aside() -> None:
    kept = {
        "PREFECT_API_AUTH_STRING": "a:b",
        "PREFECT_API_URL": URL,
        "PREFECT_HOME": "/there/prefect",
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql+asyncpg://db/prefect",
        "PREFECTURE": "Kyoto",
    }
    ignored = [
        "PREFECT_LOGGING_SETTINGS_PATH", "PREFECT_RESULTS_PERSIST_BY_DEFAULT",
        "PREFECT_SERVER_EVENTS_MESSAGING_BROKER", "PREFECT_TEST_MODE",
        "PREFECT__SERVER_WEBSERVER_ONLY", "prefect_logging_config_path",
    ]  # fmt: skip
    environment = kept | dict.fromkeys(ignored, "1")
    assert settle_environment(Path("/there"), environment) == ignored
    quiet = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    assert environment == kept | quiet


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ("sqlite+aiosqlite:///runs.db", "sqlite+aiosqlite:////there/runs.db"),
        ("sqlite+aiosqlite:////data/runs.db", "sqlite+aiosqlite:////data/runs.db"),
        ("sqlite+aiosqlite:///:memory:", "sqlite+aiosqlite:///:memory:"),
        ("postgresql+asyncpg:///prefect", "postgresql+asyncpg:///prefect"),
    ],
)
def test_database_stays_where_it_was_named(told: str, named: str) -> None:
    environment = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": told}
    assert settle_environment(Path("/there"), environment) == []
    assert environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] == named


def test_home_that_cannot_be_written_is_told(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "file").touch()
    monkeypatch.setenv("PREFECT_HOME", str(home / "file" / "prefect"))
    done = run_cli("build", str(tmp_path), "--warehouse", str(tmp_path / "w"), "--flow")
    assert done.returncode == 5
    (told,) = done.stderr.splitlines()
    assert told.startswith(f"dicomhouse: cannot write {home / 'file' / 'prefect'}, where Prefect")
