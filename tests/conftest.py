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


@pytest.fixture
def prefect_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of Prefect's own for one test, and no server of anybody's."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    return tmp_path / "prefect"


def marked_processes(mark: str) -> list[int]:
    """The living processes with `mark` in the environment that they were started with."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def run_cli(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one dicomhouse command as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "dicomhouse", *words],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
