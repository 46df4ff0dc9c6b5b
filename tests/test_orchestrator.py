"""Prefect from outside: what is configured is found as Prefect finds it, without importing it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import run_cli

from dicomhouse.errors import UsageError
from dicomhouse.orchestrator import is_configured

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
        "import sys; from dicomhouse.orchestrator import is_configured;"
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
