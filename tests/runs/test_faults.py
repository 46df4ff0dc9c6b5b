"""What disks, file systems, names and killed runs do: each is told, and the next run is fine."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from building import build_tables
from commands import call_cli, run_cli
from comparing import assert_equal_warehouses
from crash import crash
from incremental import build_lake, lake_rows
from projects import READ_BY_RUNS, write_project

import dicomhouse
from dicomhouse import filesystem
from dicomhouse.dicom.bounds import Budget
from dicomhouse.errors import SourceLost, StorageError
from dicomhouse.filesystem import open_file
from dicomhouse.lake import extract, records
from dicomhouse.lake.orders import Batch
from dicomhouse.run import build as steps
from dicomhouse.settings import Settings
from dicomhouse.sources import opening
from dicomhouse.store import generations
from dicomhouse.store.generations import Generation, at_work, building, current, leftovers
from dicomhouse.testing import build_cohort, write_image
from dicomhouse.warehouse import database, models
from dicomhouse.warehouse.pixels import other_pixels


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for number in range(6):
        write_image(tmp_path / "in" / f"p{number}" / "1", PatientID=f"P{number}")
    return tmp_path / "in"


def build(source: Path, **named: Any) -> list[str]:
    told: list[str] = []
    warehouse = named.pop("warehouse", source.parent / "w")
    build_lake(Settings((str(source),), warehouse, **named), told)
    return told


def assert_clean(source: Path) -> None:
    build(source, warehouse=source.parent / "clean")
    assert lake_rows(source.parent / "w") == lake_rows(source.parent / "clean")


def test_batches_of_an_ended_run_are_taken_over(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, done = extract.extract_batch, []

    def full(batch: Batch, lake: Path) -> Any:
        if len(done) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        done.append(batch.name)
        return real(batch, lake)

    monkeypatch.setattr(extract, "extract_batch", full)
    with pytest.raises(StorageError, match="No space left on device"):
        build(source, batch_files=1)
    monkeypatch.undo()
    assert current(source.parent / "w") is None
    (source / "p1" / "1").unlink()
    write_image(source / "p2" / "1", PatientID="other")
    told = build(source, batch_files=1)
    assert any(line.startswith("plan: 2 parts kept, 3 files") for line in told)
    assert [f.name for f in (source.parent / "w" / "generations").iterdir()] == ["000002"]
    assert_clean(source)


def test_damaged_batch_of_an_ended_run_is_read_again(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "finish_lake", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build(source, batch_files=3)
    monkeypatch.undo()
    lake = source.parent / "w" / "generations" / "000001" / "lake"
    sorted(lake.glob("files/*/part-*"))[0].write_bytes(b"cut")
    assert "plan: 1 parts kept, 3 files to read" in build(source, batch_files=3)
    assert_clean(source)


def test_worker_of_a_given_up_generation_cannot_write_there(tmp_path: Path) -> None:
    with building(tmp_path) as generation:
        (generation.parts / "part-1.json").touch()
    (left,) = leftovers(tmp_path)
    with at_work(left):
        pass
    generations.give_up(left)
    with pytest.raises(OSError, match="No such file"), at_work(left):
        pass


def test_given_up_generation_waits_for_its_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with building(tmp_path) as generation:
        (generation.parts / "part-1.json").touch()
    monkeypatch.setattr(generations, "_LAST_WORDS_SECONDS", 0.2)
    program = (
        "import sys, time; from pathlib import Path\n"
        "from dicomhouse.store.generations import Generation, at_work\n"
        "with at_work(Generation(Path(sys.argv[1]))): print('held', flush=True); time.sleep(60)\n"
    )
    words = [sys.executable, "-c", program, str(generation.folder)]
    worker = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "held\n"
        with pytest.raises(StorageError, match="still writes"):
            generations.give_up(generation)
    finally:
        worker.kill()
        worker.wait()
    generations.give_up(generation)
    assert not generation.folder.exists()


def test_run_killed_before_the_link_was_replaced_is_published_by_the_next(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(source)
    write_image(source / "p7" / "1", PatientID="P7")

    class Killed(BaseException):
        pass

    def killed(warehouse: Path, generation: Generation) -> None:
        raise Killed

    monkeypatch.setattr(generations, "_point_to", killed)
    with pytest.raises(Killed):
        build(source)
    monkeypatch.undo()
    assert "nothing changed since generation 2" in build(source)[-1]
    assert_clean(source)


@pytest.mark.parametrize("standing", [True, False])
def test_run_whose_link_is_refused_has_published_nothing(
    source: Path, monkeypatch: pytest.MonkeyPatch, standing: bool
) -> None:
    if standing:
        build(source)
    before = current(source.parent / "w")
    write_image(source / "p7" / "1", PatientID="P7")

    def refused(link: Path, target: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(generations, "_replace_link", refused)
    with pytest.raises(StorageError, match="the published warehouse is unchanged, what was read"):
        build(source)
    monkeypatch.undo()
    assert current(source.parent / "w") == before
    assert any(line.endswith(" parts kept, 0 files to read") for line in build(source))
    assert_clean(source)


def test_warehouse_that_cannot_be_written_is_told(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(source)
    write_image(source / "p7" / "1")

    def read_only(generation: Generation) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(generations, "create", read_only)
    with pytest.raises(StorageError, match="Read-only file system"):
        build(source)
    monkeypatch.undo()
    if os.geteuid():
        (source.parent / "w" / "generations").chmod(0o500)
        with pytest.raises(StorageError, match="Permission denied"):
            build(source)
        (source.parent / "w" / "generations").chmod(0o700)
    build(source)
    assert_clean(source)


def test_full_disk_is_told_and_the_next_run_is_fine(source: Path) -> None:
    """A limit on the size of files: at 100 KB parts fit, and the DuckDB file does not."""
    words = ["build", str(source), "--direct", "--warehouse", str(source.parent / "w")]
    limited = 'ulimit -f 100; exec "$0" -m dicomhouse "$@"'
    done = subprocess.run(
        ["bash", "-c", limited, sys.executable, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode in (1, 5), done.stderr
    assert "Traceback" not in done.stderr
    assert "\ndicomhouse: " in f"\n{done.stderr}"  # a child's own words may follow
    assert run_cli("status", *words[3:]).returncode == 3
    again = run_cli(*words)
    assert again.returncode == 0, again.stderr
    assert "1 parts kept, 0 files to read" in again.stderr  # what was read is not read again
    assert run_cli(*words[:-1], str(source.parent / "clean")).returncode == 0
    assert_equal_warehouses(source.parent / "w", source.parent / "clean")


def test_damaged_database_is_told_and_its_generation_can_be_removed(tmp_path: Path) -> None:
    good, damaged = tmp_path / "good.duckdb", tmp_path / "damaged.duckdb"
    damaged.write_bytes(b"x" * 10_000)
    words = (tmp_path / "lake", {}, {}, {})
    with pytest.raises(StorageError, match=r"cannot read .*damaged\.duckdb"):
        database.register(good, *words, damaged)
    with pytest.raises(StorageError, match=r"cannot read .*damaged\.duckdb"):
        other_pixels(damaged, {}, 1, Budget())


def test_dbt_project_that_is_not_there_is_told(source: Path) -> None:
    done = run_cli("build", str(source), "--direct", DICOMHOUSE_DBT="/nowhere")
    assert done.returncode == 2
    assert "no dbt project in /nowhere" in done.stderr
    assert "Traceback" not in done.stderr


def test_project_without_its_seeds_is_told(source: Path, tmp_path: Path) -> None:
    (tmp_path / "dbt").mkdir()
    (tmp_path / "dbt" / "dbt_project.yml").touch()
    done = run_cli("build", str(source), "--direct", DICOMHOUSE_DBT=str(tmp_path / "dbt"))
    assert done.returncode == 2
    assert "check_rules.csv: No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_copied_part_is_on_the_disk_before_its_record(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(source)
    write_image(source / "p7" / "1", PatientID="P7")
    synced: list[str] = []

    def linked(path: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", linked)
    monkeypatch.setattr(filesystem, "sync", lambda path: synced.append(path.name))
    build(source)
    standing = current(source.parent / "w")
    assert standing is not None
    (old,) = (record for record in records.records(standing.parts) if "000001" in record.name)
    copied = [name for name in synced if old.name in name]
    assert len(copied) == len(old.paths) + 1
    assert ".json." in copied[-1]
    monkeypatch.undo()
    assert_clean(source)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
def test_small_file_system_is_told_and_the_next_run_is_fine(tmp_path: Path) -> None:
    build_cohort(tmp_path / "in", patients=4, slices=40, profile="hospital", pixels=False)
    warehouse = tmp_path / "w"
    warehouse.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(warehouse)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no mounts here")
    try:
        with pytest.raises(StorageError, match="No space left on device"):
            build(tmp_path / "in", batch_files=100)
        words = ["mount", "-o", "remount,size=50m", str(warehouse)]
        subprocess.run(words, check=True)
        build(tmp_path / "in")
        assert_clean(tmp_path / "in")
    finally:
        # Lazily: what the failed build had open may not be closed before it is collected.
        subprocess.run(["umount", "--lazy", str(warehouse)], check=True)


def test_odd_names_and_deep_folders_are_rows(tmp_path: Path) -> None:
    source = tmp_path / "in"
    names = [b"\xff\xfe", rb"\xff\xfe", b"a\nb\t\x1b[31m", b"'; drop table files; --\"", b"n" * 255,
             b"%2e%2e", b"source=x", b"*?[a]", "ü".encode() * 120]  # fmt: skip
    for name in names:
        folder = os.fsencode(source) + b"/" + name
        os.makedirs(folder)  # noqa: PTH103
        with open(folder + b"/" + name, "wb"):  # noqa: PTH123
            pass
    deep = os.open(source, os.O_RDONLY)
    for _ in range(20):  # longer than any path may be
        os.mkdir("d" * 250, dir_fd=deep)
        deeper = os.open("d" * 250, os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = deeper
    os.close(deep)
    (source / "loop").symlink_to(source)
    (source / "outside").symlink_to(tmp_path / "elsewhere")
    write_image(tmp_path / "elsewhere" / "1")
    try:
        build(source)
        rows = lake_rows(tmp_path / "w")["files"]
        assert len(rows) == len(names) + 2
        assert sum("File name too long" in row for row in rows) == 1
        assert sum("outside/1" in row for row in rows) == 1
        assert "nothing changed" in build(source)[-1]
    finally:
        subprocess.run(["rm", "-rf", str(source)], check=True)  # shutil cannot go that deep


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def opened(path: str) -> Any:
        if "p3" in path:
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_file(path)

    monkeypatch.setattr(opening, "open_file", opened)
    yield
    monkeypatch.undo()


def test_refused_file_and_folder_are_rows(source: Path, refused: None) -> None:
    build(source)
    rows = lake_rows(source.parent / "w")["files"]
    assert sum("file_unreadable: Permission denied" in row for row in rows) == 1
    if os.geteuid():
        (source / "p1").chmod(0)
        build(source)
        rows = lake_rows(source.parent / "w")["files"]
        assert sum("folder_unreadable: Permission denied" in row for row in rows) == 1
        (source / "p1").chmod(0o700)


def test_source_that_cannot_be_listed_is_told_and_stays(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(source)
    real = os.scandir

    def refused(folder: int | Path) -> Any:
        if isinstance(folder, int):  # only a listing opens folders
            raise OSError(errno.EIO, "Input/output error")
        return real(folder)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(SourceLost, match="Input/output error"):
        build(source)
    monkeypatch.undo()
    assert "nothing changed" in build(source)[-1]
    assert_clean(source)


def test_file_that_became_a_pipe_is_not_waited_for(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = extract.extract_batch

    def replaced(batch: Batch, lake: Path) -> Any:
        (source / "p1" / "1").unlink()
        os.mkfifo(source / "p1" / "1")
        return real(batch, lake)

    monkeypatch.setattr(extract, "extract_batch", replaced)
    build(source)
    monkeypatch.undo()
    rows = lake_rows(source.parent / "w")["files"]
    assert sum("no file any more" in row for row in rows) == 1
    assert "1 file changed" in "".join(build(source))
    assert_clean(source)


def test_failed_models_keep_what_was_read(source: Path) -> None:
    at = ["--direct", "--warehouse", str(source.parent / "w")]
    broken = write_project(
        source.parent / "dbt", {"patients": "select * from nowhere_at_all"}, READ_BY_RUNS
    )
    done = run_cli("build", str(source), *at, DICOMHOUSE_DBT=str(broken))
    assert done.returncode == 1
    assert "model patients (error)" in done.stderr
    told: list[str] = []
    build_tables(Settings((str(source),), source.parent / "w"), ["patients"], told.append)
    assert "plan: 1 parts kept, 0 files to read" in told


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_killed_builds_end_where_a_clean_build_does(tmp_path: Path) -> None:
    ends = crash(tmp_path, kills=1, patients=2, slices=8, seed=1,
                 steps=("parent lake.rewrite.rewrite", "run store.generations._point_to"),
                 say=lambda line: None)  # fmt: skip
    assert ends["killed at a step"] == 2
    assert ends["reader"] > 0


def test_full_disk_under_the_models_is_told_as_such(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(connection: Any, node: Any) -> str:
        raise duckdb.TransactionException("Failed to commit: Cannot open file: No space left")

    monkeypatch.setattr(models, "_carried_out", full)
    with pytest.raises(StorageError, match="Is the disk full"):
        steps.build_direct(Settings((str(source),), source.parent / "w"), lambda line: None)


@pytest.mark.parametrize("refused", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_file_system_without_locks_is_told(
    tmp_path: Path, demo: Path, monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    def refuse(file: Any, how: int) -> None:
        raise OSError(refused, os.strerror(refused))

    monkeypatch.setattr(fcntl, "flock", refuse)
    for need in (building(tmp_path).__enter__, lambda: generations.acquire(demo)):
        with pytest.raises(StorageError, match=f"has no locks.*{os.strerror(refused)}"):
            need()


def test_sizes_whose_sum_is_no_bigint_are_added_up(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As sparse files have them: three of a patient, of 4 EiB each."""
    real = extract._facts
    monkeypatch.setattr(extract, "_facts", lambda *words: replace(real(*words), size_bytes=1 << 62))
    for number in (2, 3):
        write_image(source / "p0" / str(number), PatientID="P0", InstanceNumber=number)
    steps.build_direct(Settings((str(source),), source.parent / "w"), lambda line: None)
    with dicomhouse.open(source.parent / "w") as warehouse:
        for table in ("patients", "studies", "series"):
            largest = warehouse.sql(f"select max(size_bytes)::varchar as size from {table}")
            assert largest["size"].to_list() == [str(3 << 62)]
    done = call_cli("sql", "--report", "overview", "--warehouse", str(source.parent / "w"))
    assert "8.0 EiB or more" in done.stdout, done.stderr
