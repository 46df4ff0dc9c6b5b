"""What would stop a run is found before it; what Prometheus reads are counts of the last one."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from commands import call_cli, run_cli
from incremental import build_lake, here
from prometheus_client.parser import text_string_to_metric_families

from dicomhouse.errors import SourceLost, StorageError, UsageError
from dicomhouse.run import doctor
from dicomhouse.run.context import begin
from dicomhouse.run.doctor import diagnose
from dicomhouse.settings import Settings
from dicomhouse.store import failures
from dicomhouse.store.generations import building
from dicomhouse.testing import write_image


@pytest.fixture
def settings(tmp_path: Path, new_prefect_home: Path) -> Settings:
    write_image(tmp_path / "in" / "1")
    settings = Settings((str(tmp_path / "in"),), tmp_path / "w")
    build_lake(settings)
    return settings


def states(settings: Settings) -> dict[str, str]:
    return {one.what: one.state for one in diagnose(settings)}


def stopped(settings: Settings) -> dict[str, str]:
    return {one.what: one.message for one in diagnose(settings) if one.state == "stops"}


def test_nothing_stops_where_all_is_well(settings: Settings) -> None:
    assert states(settings) == dict.fromkeys(
        ("versions", "warehouse", "disk", "links", "sources", "cache", "decoders", "server"), "ok"
    )
    assert [one.name for one in (settings.warehouse / "generations").iterdir()] == ["000001"]


def test_warehouse_that_is_not_there_is_not_made(settings: Settings, tmp_path: Path) -> None:
    later = Settings(settings.sources, tmp_path / "later")
    assert stopped(later) == {}
    assert not later.warehouse.exists()


def test_lost_source_and_empty_one_stop(settings: Settings, tmp_path: Path) -> None:
    known = Settings((), settings.warehouse)
    (tmp_path / "in" / "1").unlink()
    assert "Is it mounted?" in stopped(known)["sources"]
    (tmp_path / "in").rmdir()
    assert "Is it mounted?" in stopped(known)["sources"]


def test_run_whose_source_is_lost_is_noted(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "in").rename(tmp_path / "unmounted")
    with pytest.raises(SourceLost):
        build_lake(settings)
    (told,) = failures.noted(settings.warehouse)
    assert told["run_id"].startswith("000002-") and "Is it mounted?" in told["failure"]


def test_run_of_other_words_is_noted_where_there_is_a_warehouse(settings: Settings) -> None:
    wrong = replace(settings, sources=("/nowhere/at/all",))
    with pytest.raises(UsageError):
        build_lake(replace(wrong, warehouse=settings.warehouse / "other"))
    assert not (settings.warehouse / "other").exists()
    with pytest.raises(UsageError):
        build_lake(wrong)
    (told,) = failures.noted(settings.warehouse)
    assert "no such folder" in told["failure"]


def test_run_that_is_killed_is_noted_and_one_that_is_stopped_is_not(settings: Settings) -> None:
    def run(ends: BaseException) -> None:
        with suppress(BaseException), begin(settings, lambda line: None, here):
            assert failures.noted(settings.warehouse) == []  # it goes on
            raise ends

    run(KeyboardInterrupt())
    assert failures.noted(settings.warehouse) == []
    run(ValueError("what nobody thought of ends as a kill does: without a word here"))
    (told,) = failures.noted(settings.warehouse)
    assert told["failure"].startswith("it did not end")
    (settings.warehouse / "failures.jsonl").mkdir()  # nothing can be noted: as on a full disk
    with pytest.raises(StorageError), begin(settings, lambda line: None, here):
        raise OSError(errno.ENOSPC, "No space left on device")
    (told,) = failures.noted(settings.warehouse)
    assert told["failure"].startswith("it did not end")


def test_run_whose_disk_is_full_is_noted(settings: Settings) -> None:
    with pytest.raises(StorageError), begin(settings, lambda line: None, here):
        raise OSError(errno.ENOSPC, "No space left on device")
    (told,) = failures.noted(settings.warehouse)
    assert "No space left on device" in told["failure"]


def test_warehouse_that_is_built_or_somebody_elses_stops(settings: Settings) -> None:
    with building(settings.warehouse):
        assert f"is being built by process {os.getpid()}" in stopped(settings)["warehouse"]
    settings.warehouse.chmod(0o777)
    assert "warehouse" in stopped(settings)


def test_full_disk_stops(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(settings.warehouse)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))
    assert "Free space" in stopped(settings)["disk"]


def test_disk_without_links_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*given: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    assert states(settings)["links"] == "warning"
    monkeypatch.setattr(Path, "symlink_to", refused)
    assert states(settings)["links"] == "stops"


def test_other_versions_than_asked_for_stop(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        doctor, "version", lambda name: "9999" if name == "fastapi" else version(name)
    )
    assert "fastapi 9999 is not <0.151" in stopped(settings)["versions"]


def test_server_that_does_not_answer_stops(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert "does not answer" in stopped(settings)["server"]


def test_missing_decoders_stop_only_who_measures_pixels(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise UsageError("imagecodecs is not installed")

    monkeypatch.setattr(doctor.checks, "check_decoders", missing)
    assert states(settings)["decoders"] == "warning"
    assert "decoders" in stopped(Settings((), settings.warehouse, pixels=True))


def test_doctor_ends_with_one_where_something_stops(tmp_path: Path, prefect_home: Path) -> None:
    done = run_cli("doctor", str(tmp_path / "nowhere"), "--warehouse", str(tmp_path / "w"))
    assert done.returncode == 1, done.stderr
    assert "no such folder" in done.stdout


def test_metrics_are_what_prometheus_reads(demo: Path, tmp_path: Path) -> None:
    file = tmp_path / "dicomhouse.prom"
    done = call_cli("metrics", "--warehouse", str(demo), "--output", str(file))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert file.stat().st_mode & 0o777 == 0o644
    told = call_cli("metrics", "--warehouse", str(demo)).stdout
    assert told == file.read_text()
    found = {
        (one.name, *one.labels.values()): one.value
        for family in text_string_to_metric_families(told)
        for one in family.samples
    }
    assert found["dicomhouse_generation",] == 1
    assert found["dicomhouse_failed_runs",] == 0
    assert found["dicomhouse_images",] == 156
    assert found["dicomhouse_files", "truncated"] == 2
    assert found["dicomhouse_findings", "error"] > 0
    published = found["dicomhouse_published_timestamp_seconds",]
    assert found["dicomhouse_succeeded_timestamp_seconds",] >= published > 1.7e9


def test_metrics_tell_failed_runs_even_without_a_warehouse(tmp_path: Path) -> None:
    told = {"started_at": "2026-01-01T00:00:00+00:00", "finished_at": "2026-01-01T00:01:00+00:00"}
    failures.note(tmp_path, {**told, "run_id": "1", "dicomhouse": "0", "failure": "of Doe^John"})
    done = call_cli("metrics", "--warehouse", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "dicomhouse_failed_runs 1.0" in done.stdout
    assert "dicomhouse_generation 0.0" in done.stdout
    assert "Doe" not in done.stdout
