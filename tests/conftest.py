"""Real files for the tests: pydicom's own, and the shared studies where they are present."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

PYDICOM_DATA = Path(pydicom.__file__).parent / "data"


def shared_folder() -> Path | None:
    """The folder of real studies: DICOMHOUSE_SHARED_DATA, or `../shared/data`."""
    named = os.environ.get("DICOMHOUSE_SHARED_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    return folder if (folder / "EXPECTED.json").is_file() else None


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = shared_folder()
    if folder is None:
        pytest.skip("no shared studies: set DICOMHOUSE_SHARED_DATA to their folder")
    return folder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-schedule", action="store_true", help="let a real schedule fire")


def run_cli(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one dicomhouse command as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "dicomhouse", *words],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
