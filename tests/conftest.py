"""Real files for the tests: pydicom's own, and the shared studies where they are present."""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import run_cli
from hypothesis import HealthCheck, settings
from places import shared_folder
from projects import run_dbt
from reports import write_later, write_reported
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

import dicomhouse
from dicomhouse.reader import Warehouse
from dicomhouse.resources import resource
from dicomhouse.run.build import build_direct
from dicomhouse.run.orchestrator import Server
from dicomhouse.settings import Settings

os.environ["DICOMHOUSE_FILE_ID_KEY"] = "of the tests"  # else no two warehouses would be equal

EVERYTHING = "test_"
SLOW = {
    "test_archives": (
        *("test_same_files", "test_archive_in_a_folder", "test_cut_or_damaged"),
        "test_inflated_bytes",
    ),
    "test_bounds": ("test_a_worker_stays_below", "test_hostile_files_end"),
    "test_build": EVERYTHING,
    "test_checks": EVERYTHING,
    "test_cluster": ("two_workers", "no_worker", "own_cluster"),
    "test_cohort": EVERYTHING,
    "test_configuration": ("test_commands_read",),
    "test_conformance": EVERYTHING,
    "test_counts": ("test_parts_that",),
    "test_dcm2niix": EVERYTHING,
    "test_diff": ("warehouse",),
    "test_docs": EVERYTHING,
    "test_doctor": ("demo", "prefect_home"),
    "test_dose": EVERYTHING,
    "test_entities": EVERYTHING,
    "test_expected": EVERYTHING,
    "test_faults": EVERYTHING,
    "test_findings": EVERYTHING,
    "test_flow": EVERYTHING,
    "test_geometry": EVERYTHING,
    "test_history": EVERYTHING,
    "test_hostile": (
        *("test_odd_names", "test_no_log", "test_name_of_sixty", "test_source_whose"),
        "test_what_is_shown",
    ),
    "test_idc": EVERYTHING,
    "test_increment": ("test_any_sequence", "test_hundred_small_runs"),
    "test_listed": EVERYTHING,
    "test_marts": EVERYTHING,
    "test_misread": ("test_every_form",),
    "test_objects": EVERYTHING,
    "test_operator": EVERYTHING,
    "test_orchestrator": ("prefect_home", "test_configured_server"),
    "test_pixels": ("tmp_path",),
    "test_pixel_stats": EVERYTHING,
    "test_plan": EVERYTHING,
    "test_processes": EVERYTHING,
    "test_programs": EVERYTHING,
    "test_project": EVERYTHING,
    "test_publish": ("demo",),
    "test_readme": ("demo",),
    "test_received": ("demo",),
    "test_report": EVERYTHING,
    "test_report_page": EVERYTHING,
    "test_sequences": EVERYTHING,
    "test_site": EVERYTHING,
    "test_standard": ("test_writing_twice",),
    "test_sources": EVERYTHING,
    "test_tag": ("folder",),
    "test_tags": ("folder", "test_bench_of_models"),
    "test_volume": EVERYTHING,
    "test_warehouse": EVERYTHING,
    "test_walker": (
        "test_broken_files",
        "test_files_of_other_packages",
        "test_made_up_datasets",
        "test_shared_studies",
    ),
    "test_wheel": EVERYTHING,
    "test_working_folder": EVERYTHING,
}
"""By module, the beginnings of the names of tests, or of fixtures that tests ask for, which build a
warehouse or take seconds. They are marked `slow`, and `make check` leaves them out."""

SCATTERED = {
    "test_build", "test_faults", "test_flow", "test_hostile", "test_increment", "test_misread",
    "test_operator", "test_orchestrator", "test_pixels", "test_received", "test_walker",
    "test_working_folder",
}  # fmt: skip
"""Modules of long tests that make nothing for one another: any worker may run any of them."""

# How long an example takes says more of the machine than of the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow tests, and let them start first."""
    for item in items:
        names = (item.name, *getattr(item, "fixturenames", ()))
        if any(name.startswith(SLOW.get(item.path.stem, ())) for name in names):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_configure() -> None:
    """Look for garbage less often: it is a twentieth of the time of all tests."""
    gc.set_threshold(100_000, 20, 50)


class Scheduling(LoadScopeScheduling):
    """One worker runs a module or class in one go, but for modules whose tests share nothing."""

    def _split_scope(self, nodeid: str) -> str:
        return (
            nodeid
            if Path(nodeid.split("::")[0]).stem in SCATTERED
            else super()._split_scope(nodeid)
        )


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, since some tests wait for a server or a schedule."""
    return (os.cpu_count() or 1) + 1


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return Scheduling(config, log)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = shared_folder()
    if folder is None:
        pytest.skip("no shared studies: set DICOMHOUSE_SHARED_DATA to their folder")
    return folder


def make_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder for tests that only read, made by the first worker that asks for it."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # of all workers of this run
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = base / name
        if not folder.exists():
            unfinished = factory.mktemp(name)
            make(unfinished)
            unfinished.rename(folder)
    return folder


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The warehouse of the demo, for tests that only read."""

    def make(folder: Path) -> None:
        done = run_cli("demo", "--direct", "--warehouse", str(folder / "warehouse"))
        assert done.returncode == 0, done.stderr

    return make_once(tmp_path_factory, "demo", make) / "warehouse"


@pytest.fixture(scope="session")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what dbt says of the project: `manifest.json`, and what it parses on from."""

    def make(folder: Path) -> None:
        run_dbt("parse", resource("dbt"), folder).check_returncode()

    return make_once(tmp_path_factory, "parsed", make)


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse of what reports must show and hide, of two runs, for tests that only read."""

    def make(folder: Path) -> None:
        files = tmp_path_factory.mktemp("reported_files")  # which stay there, to be read again
        sources = tuple(str(files / name) for name in ("cohort", "planted"))
        for add in (write_reported, write_later):
            add(files)
            build_direct(Settings(sources, folder / "warehouse"), lambda line: None)

    return make_once(tmp_path_factory, "reported", make) / "warehouse"


@pytest.fixture(scope="session")
def studies(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A warehouse of all the shared studies, each folder a source, for tests that only read."""
    sources = tuple(str(path) for path in sorted(shared_data.iterdir()) if path.is_dir())

    def make(folder: Path) -> None:
        build_direct(Settings(sources, folder / "warehouse"), lambda line: None)

    with dicomhouse.open(make_once(tmp_path_factory, "shared", make) / "warehouse") as warehouse:
        yield warehouse


@pytest.fixture
def new_prefect_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of Prefect's own for one test, still without a database; no server of anybody's."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    return tmp_path / "prefect"


@pytest.fixture
def prefect_home(new_prefect_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with an empty database, whose making takes as long as a build."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PREFECT_HOME", str(folder))
            server = Server()
            try:
                server.wait_until_ready()
            finally:
                server.stop()

    shutil.copytree(make_once(tmp_path_factory, "prefect", make), new_prefect_home)
    return new_prefect_home
