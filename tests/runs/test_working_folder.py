"""Nothing that lies in the folder where a command is called is executed, or read as a setting."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from serving import serving, wait_for

from dicomhouse.resources import resource
from dicomhouse.testing import build_cohort

MODULES = ("click", "dbt", "duckdb", "fastapi", "httpx", "json", "jinja2", "logging", "numpy",
           "pickle", "prefect", "pyarrow", "pydicom", "random", "secrets", "site", "sitecustomize",
           "sqlalchemy", "uuid", "uvicorn", "usercustomize", "yaml")  # fmt: skip
"""Names that a process of a run imports, from the standard library or from elsewhere."""
LOGGING = """
version: 1
disable_existing_loggers: false
formatters:
  trap: {{(): "subprocess.check_call", args: ["touch", "{trapped}"]}}
handlers:
  trap: {{class: logging.StreamHandler, formatter: trap}}
root: {{handlers: [trap]}}
"""


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A folder to call commands in; `trapped-...` appears beside it when something is used."""
    folder = tmp_path / "cwd"
    build_cohort(folder / "in", patients=1, slices=8)
    trapped = tmp_path / "trapped"
    for name in MODULES:
        (folder / f"{name}.py").write_text(
            f"open({str(trapped)!r} + '-module-{name}', 'w').close()\nraise SystemExit(77)\n"
        )
    logging = folder / "logging.yml"
    logging.write_text(LOGGING.format(trapped=f"{trapped}-logging"))
    home = tmp_path / "elsewhere"
    nowhere = "http://127.0.0.1:9/api"
    (folder / ".env").write_text(
        f"PREFECT_LOGGING_SETTINGS_PATH={logging}\nPREFECT_API_URL={nowhere}\nPREFECT_HOME={home}\n"
        "DBT_PROJECT_DIR=/nowhere\n"
    )
    (folder / "prefect.toml").write_text(
        f'home = "{home}"\n[api]\nurl = "{nowhere}"\n[logging]\nconfig_path = "{logging}"\n'
    )
    (folder / "pyproject.toml").write_text("[tool.prefect]\nnot toml\n")
    return folder


def call(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder, capture_output=True, text=True, env={**os.environ, **environment}, check=False,
    )  # fmt: skip
    assert_untouched(folder)
    return done


def assert_untouched(folder: Path) -> None:
    assert [path.name for path in folder.parent.glob("trapped*")] == []
    assert not (folder.parent / "elsewhere").exists()


PROGRAM = ("-P", "-c", "import sys; from dicomhouse.cli import main; sys.exit(main())")
"""What the console script does: its own folder is first on the path, not the working folder."""


@pytest.mark.parametrize(
    "words", [("build", "in", "--direct"), ("build", "mine=in", "--flow"), ("demo",)]
)
def test_nothing_of_the_working_folder_is_used(
    trap: Path, prefect_home: Path, words: tuple[str, ...]
) -> None:
    there, ours = set(trap.iterdir()), set(resource("flows").iterdir())
    settings = {
        "PREFECT_LOGGING_SETTINGS_PATH": str(trap / "logging.yml"),
        "PREFECT_SERVER_EVENTS_MESSAGING_BROKER": "click",
        "prefect_testing_test_mode": "1",
    }
    done = call(trap, *PROGRAM, *words, **(settings if "--flow" in words else {}))
    assert done.returncode == 0, done.stderr
    assert ("these settings of Prefect's are set aside" in done.stderr) is ("--flow" in words)
    assert "warehouse  warehouse (generation 1)" in done.stdout
    assert set(trap.iterdir()) == {*there, trap / "warehouse"}
    assert set(resource("flows").iterdir()) == ours


def test_served_build_uses_nothing_of_the_working_folder(trap: Path, prefect_home: Path) -> None:
    with serving("in", "--warehouse", "warehouse", "--every", "10", cwd=trap):
        wait_for((trap / "warehouse" / "current").exists)
    assert_untouched(trap)


def test_module_run_by_name_uses_nothing_of_the_working_folder(trap: Path) -> None:
    assert call(trap, "-m", "dicomhouse", "--help").returncode == 0
