"""A Dask cluster in the place of this machine's processes: the same lake, or one clear sentence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import killing
import pytest
from clusters import Cluster
from commands import run_cli
from comparing import assert_equal_warehouses
from incremental import build_lake, lake_rows

from dicomhouse.errors import ExtractionFailed
from dicomhouse.run import build, cluster
from dicomhouse.run.cluster import Signs, look
from dicomhouse.settings import Settings
from dicomhouse.sources.source import Source
from dicomhouse.store.generations import building, current
from dicomhouse.testing import write_image

distributed = pytest.importorskip("distributed")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for number in range(12):
        write_image(tmp_path / "in" / f"p{number}" / "1", PatientID=f"P{number}")
    return tmp_path / "in"


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    started = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        started.start_workers(2)
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="module")
def no_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler that tries a batch once; each test starts its workers."""
    folder = tmp_path_factory.mktemp("cluster")
    started = Cluster(folder, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0")
    try:
        yield started
    finally:
        started.stop()


def build_on(where: Cluster | None, source: Path, name: str = "w", **named: Any) -> list[str]:
    told: list[str] = []
    address = "" if where is None else where.address
    settings = Settings((str(source),), source.parent / name, batch_files=1, dask=address, **named)
    build_lake(settings, told)
    return told


def test_cluster_makes_the_same_lake(two_workers: Cluster, source: Path) -> None:
    told = build_on(two_workers, source)
    assert f"extract: on 2 workers of the Dask cluster at {two_workers.address}" in told
    assert told[-1].startswith("extract: 12 files in ")
    build_on(None, source, "other")
    assert lake_rows(source.parent / "w") == lake_rows(source.parent / "other")
    (source / "p3" / "1").unlink()
    write_image(source / "p4" / "1", PatientID="another")
    build_on(two_workers, source)
    build_on(None, source, "other")
    assert lake_rows(source.parent / "w") == lake_rows(source.parent / "other")
    with distributed.Client(two_workers.address, set_as_default=False) as client:
        loaded = client.run(lambda: {"prefect", "dbt"} & set(__import__("sys").modules))
    assert list(loaded.values()) == [set(), set()]


def test_files_of_a_cluster_are_their_owners_alone(two_workers: Cluster, source: Path) -> None:
    build_on(two_workers, source)
    standing = current(source.parent / "w")
    assert standing is not None
    assert not [path for path in standing.lake.rglob("*") if path.stat().st_mode & 0o077]


@pytest.mark.parametrize("step", ["lake.parts.PartFile.close#2", "lake.records.PartRecord.save"])
def test_killed_worker_costs_another_go_and_nothing_else(
    two_workers: Cluster, source: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(build, "carry_out", killing.carry_out)
    (killed,) = two_workers.start_workers(1, KILLING_AT=f"worker {step}")
    told = build_on(two_workers, source)
    assert killed.wait(10) == -signal.SIGKILL
    assert told[-1].startswith("extract: 12 files in ")
    build_on(None, source, "other")
    assert lake_rows(source.parent / "w") == lake_rows(source.parent / "other")
    assert not list((source.parent / "w").rglob("*.tmp"))


def test_what_no_worker_survives_is_told(
    no_worker: Cluster, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "carry_out", killing.carry_out)
    with monkeypatch.context() as patch, pytest.raises(ExtractionFailed, match="no worker for 1 s"):
        patch.setattr(cluster, "_WORKER_SECONDS", 1)
        build_on(no_worker, source)
    no_worker.start_workers(1, KILLING_AT="worker lake.extract.extract_batch#3")
    with pytest.raises(ExtractionFailed, match="tried 1 times, and the Dask worker ended"):
        build_on(no_worker, source)
    no_worker.scheduler.kill()
    no_worker.scheduler.wait()
    monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 1)
    with pytest.raises(ExtractionFailed, match="no Dask scheduler answers at tcp://127"):
        build_on(no_worker, source)
    monkeypatch.undo()
    assert "2 parts kept" in "".join(build_on(None, source, "w"))  # what the worker had read


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler for one test."""
    (tmp_path / "cluster").mkdir()
    started = Cluster(tmp_path / "cluster")
    try:
        yield started
    finally:
        started.stop()


def test_workers_or_a_scheduler_that_go_are_not_waited_for(
    own_cluster: Cluster, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_WORKER_SECONDS", 1)
    monkeypatch.setattr(build, "carry_out", killing.carry_out)
    own_cluster.start_workers(1, KILLING_AT="worker lake.extract.extract_batch#3")
    with pytest.raises(ExtractionFailed, match="has had no worker for 1 s"):
        build_on(own_cluster, source)
    own_cluster.start_workers(1)

    def last(result: Any) -> Any:
        own_cluster.scheduler.kill()
        return result()

    monkeypatch.setattr(build, "checked", last)
    with pytest.raises(ExtractionFailed, match=r"the Dask scheduler at .* is gone"):
        build_on(own_cluster, source)


def test_stopped_run_publishes_nothing_and_leaves_its_cluster_at_work(
    own_cluster: Cluster, source: Path
) -> None:
    (worker,) = own_cluster.start_workers(1, KILLING_AT="held lake.extract.extract_batch#3")
    warehouse = source.parent / "w"
    build = subprocess.Popen(
        [sys.executable, *killing.PROGRAM, "build", str(source), "--warehouse", str(warehouse),
         "--direct", "--dask", own_cluster.address],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "KILLING_BATCH": "1", "PYTHONPATH": own_cluster.import_path},
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while len(list(warehouse.glob("generations/*/parts/[!.]*.json"))) < 2:
        assert build.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    build.send_signal(signal.SIGINT)
    _, told = build.communicate(timeout=30)
    assert build.returncode == 128 + signal.SIGINT
    assert told.splitlines()[-1].startswith("dicomhouse: stopped by SIGINT")
    assert "Traceback" not in told
    assert current(warehouse) is None
    assert own_cluster.scheduler.poll() is None and worker.poll() is None
    assert "12 files to read" not in "".join(build_on(own_cluster, source))  # what was read is kept
    assert worker.poll() is None
    build_on(None, source, "other")
    assert lake_rows(warehouse) == lake_rows(source.parent / "other")


def test_worker_without_this_program_is_told(own_cluster: Cluster, source: Path) -> None:
    other = source.parent / "other" / "dicomhouse"
    other.mkdir(parents=True)
    (other / "__init__.py").touch()
    own_cluster.start_workers(1, PYTHONPATH=str(other.parent))
    with pytest.raises(ExtractionFailed, match="cannot run dicomhouse"):
        build_on(own_cluster, source)


def test_flow_on_a_cluster_builds_the_same(
    two_workers: Cluster, demo: Path, tmp_path: Path, prefect_home: Path
) -> None:
    words = ("--flow", "--dask", two_workers.address, "--warehouse", str(tmp_path / "w"))
    done = run_cli("demo", *words)
    assert done.returncode == 0, done.stderr
    assert "workers of the Dask cluster" in done.stderr
    assert_equal_warehouses(tmp_path / "w", demo)


@pytest.fixture
def signs(source: Path, tmp_path: Path) -> Iterator[Signs]:
    with building(tmp_path / "w"):
        yield Signs.of(tmp_path / "w", [Source("in", str(source))])


def test_worker_that_sees_all_is_believed(signs: Signs) -> None:
    look(signs)


def test_worker_of_another_release_is_refused(signs: Signs) -> None:
    with pytest.raises(ExtractionFailed, match="another release"):
        look(replace(signs, release=("0.0", signs.release[1])))


def test_worker_that_sees_no_warehouse_or_another_is_refused(signs: Signs, tmp_path: Path) -> None:
    with pytest.raises(ExtractionFailed, match=r"cannot write .*: No such file or directory"):
        look(replace(signs, warehouse=str(tmp_path / "nowhere")))
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / ".build-lock").touch()
    with pytest.raises(ExtractionFailed, match="does not see the locks"):
        look(replace(signs, warehouse=str(tmp_path / "local")))


def test_worker_without_a_sources_files_is_refused(signs: Signs, tmp_path: Path) -> None:
    (tmp_path / "in").rename(tmp_path / "mounted elsewhere")
    (tmp_path / "in").mkdir()
    with pytest.raises(ExtractionFailed) as refused:
        look(signs)
    assert "does not see the files of source in" in str(refused.value)
    assert "source <source> in <folder>" in str(refused.value.without_names())


def test_signs_show_no_name_in_a_workers_log(signs: Signs, tmp_path: Path) -> None:
    assert str(tmp_path) not in repr(signs)
