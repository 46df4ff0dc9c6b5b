"""Real files for the tests: pydicom's own, and the shared studies where they are present."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from hypothesis import HealthCheck, settings

import dicomhouse
from dicomhouse.pipeline import build_direct
from dicomhouse.reader import Warehouse
from dicomhouse.settings import Settings

PYDICOM_DATA = Path(pydicom.__file__).parent / "data"
EVERYTHING = "test_"
SLOW = {
    "test_bounds": ("test_a_worker_stays_below", "test_hostile_files_end"),
    "test_build": EVERYTHING,
    "test_checks": EVERYTHING,
    "test_cohort": EVERYTHING,
    "test_conformance": EVERYTHING,
    "test_dcm2niix": EVERYTHING,
    "test_diff": ("warehouse",),
    "test_entities": EVERYTHING,
    "test_expected": EVERYTHING,
    "test_faults": EVERYTHING,
    "test_flow": EVERYTHING,
    "test_geometry": EVERYTHING,
    "test_history": EVERYTHING,
    "test_hostile": ("test_odd_names", "test_no_log", "test_what_is_shown"),
    "test_increment": ("test_any_sequence", "test_hundred_small_runs"),
    "test_pixels": ("tmp_path",),
    "test_plan": EVERYTHING,
    "test_processes": EVERYTHING,
    "test_readme": ("demo",),
    "test_report": EVERYTHING,
    "test_sequences": EVERYTHING,
    "test_standard": ("test_writing_twice",),
    "test_tag": ("folder",),
    "test_tags": ("folder", "test_bench_of_models"),
    "test_walker": (
        "test_broken_files",
        "test_files_of_other_packages",
        "test_made_up_datasets",
        "test_shared_studies",
    ),
    "test_wheel": EVERYTHING,
}
"""By module, the beginnings of the names of tests, or of fixtures that tests ask for, which build a
warehouse or take seconds. They are marked `slow`, and `make check` leaves them out."""

# How long an example takes says more of the machine than of the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        names = (item.name, *getattr(item, "fixturenames", ()))
        if any(name.startswith(SLOW.get(item.path.stem, ())) for name in names):
            item.add_marker(pytest.mark.slow)


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


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The warehouse of the demo, for tests that only read."""
    folder = tmp_path_factory.mktemp("demo") / "warehouse"
    done = run_cli("demo", "--direct", "--warehouse", str(folder))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def studies(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A warehouse of all the shared studies, each folder a source, for tests that only read."""
    folder = tmp_path_factory.mktemp("shared") / "warehouse"
    sources = tuple(str(path) for path in sorted(shared_data.iterdir()) if path.is_dir())
    build_direct(Settings(sources, folder), lambda line: None)
    with dicomhouse.open(folder) as warehouse:
        yield warehouse


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
