"""Publication in one step; readers keep what they opened; leftovers go."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dicomhouse.errors import StorageError, UsageError, WarehouseBusy, WarehouseNotFound
from dicomhouse.lake import generations
from dicomhouse.lake.generations import acquire, building, prune, publish, published
from dicomhouse.lake.layout import COLUMNS_PART


def build(warehouse: Path, text: str) -> None:
    with building(warehouse) as generation:
        generation.lake.mkdir()
        (generation.lake / "text").write_text(text)
        generation.database.touch()
        publish(warehouse, generation, {"text": text})


def test_reader_keeps_its_generation_while_the_next_is_published(tmp_path: Path) -> None:
    build(tmp_path, "one")
    generation, lock = acquire(tmp_path)
    build(tmp_path, "two")
    build(tmp_path, "three")
    prune(tmp_path, keep=1)
    assert (generation.lake / "text").read_text() == "one"
    assert acquire(tmp_path)[0].run() == {"text": "three"}
    assert [g.number for g in published(tmp_path)] == [1, 3]
    lock.close()
    prune(tmp_path, keep=1)
    assert [g.number for g in published(tmp_path)] == [3]


def test_other_folders_among_the_generations_are_left_alone(tmp_path: Path) -> None:
    build(tmp_path, "one")
    for name in ("000001-backup", "0002_notes", "7"):
        (tmp_path / "generations" / name).mkdir()
    build(tmp_path, "two")
    assert [g.number for g in published(tmp_path)] == [1, 2]
    assert len(list((tmp_path / "generations").iterdir())) == 5


def test_folder_that_holds_other_files_becomes_no_warehouse(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").touch()
    with pytest.raises(UsageError, match="holds other files"):
        build(tmp_path, "one")
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]


def test_all_that_is_published_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(generations, "sync", synced.append)
    with building(tmp_path) as generation:
        for path in (
            generation.lake / "files" / "source=s" / COLUMNS_PART,
            generation.report / "index.html",
            generation.database,
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        publish(tmp_path, generation, {})
    made = {path for path in generation.folder.rglob("*") if not path.name.startswith(".")}
    # The record was synced before it had its name.
    assert made - {generation.folder / "run.json"} <= set(synced)


def test_fixed_links_lead_to_the_current_generation(tmp_path: Path) -> None:
    build(tmp_path, "one")
    build(tmp_path, "two")
    assert (tmp_path / "lake" / "text").read_text() == "two"
    assert (tmp_path / "warehouse.duckdb").exists()


def test_failed_build_leaves_the_published_one_and_nothing_else(tmp_path: Path) -> None:
    build(tmp_path, "one")
    with pytest.raises(RuntimeError), building(tmp_path) as generation:
        generation.lake.mkdir()
        raise RuntimeError
    assert acquire(tmp_path)[0].run() == {"text": "one"}
    assert [f.name for f in (tmp_path / "generations").iterdir()] == ["000001"]


def test_leftovers_of_a_killed_build_are_removed(tmp_path: Path) -> None:
    build(tmp_path, "one")
    (tmp_path / "generations" / "000002" / "lake").mkdir(parents=True)
    build(tmp_path, "three")
    assert [g.number for g in published(tmp_path)] == [1, 3]
    assert not (tmp_path / "generations" / "000002").exists()


def test_second_builder_is_told_who_the_first_is(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from dicomhouse.lake.generations import building\n"
        "with building(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(WarehouseBusy, match=str(holder.pid)), building(tmp_path):
            pass
    finally:
        holder.kill()
        holder.wait()
    with building(tmp_path):  # the lock of a dead process does not block
        pass


def test_folder_that_reads_as_a_partition_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="source=x"), building(tmp_path / "source=x" / "w"):
        pass


def test_folder_that_duckdb_would_read_otherwise_is_refused(tmp_path: Path) -> None:
    for name in ("a?b", "a\\b"):
        with pytest.raises(UsageError, match="DuckDB reads"):
            build(tmp_path / name, "one")


def test_folder_whose_path_is_no_text_is_refused(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    with pytest.raises(UsageError, match="no UTF-8"), building(folder):
        pass
    assert not folder.exists()


def test_link_that_is_right_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    build(Path("w"), "one")
    before = Path("w/current").lstat().st_ino
    with building(Path("w")):
        pass
    assert Path("w/current").lstat().st_ino == before


def test_lock_that_a_full_disk_refuses_is_told(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no mounts here")
    try:
        (tmp_path / ".other").write_bytes(bytes(4096))
        with pytest.raises(StorageError, match="No space left on device"), building(tmp_path):
            pass
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def test_warehouse_of_another_owner_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path, "one")

    def refused(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refused)
    with pytest.raises(StorageError, match="Permission denied"):
        acquire(tmp_path)


def test_generation_removed_while_it_is_locked_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path, "one")
    build(tmp_path, "two")

    class Late(generations.ReadLock):
        def __init__(self, generation: generations.Generation) -> None:
            super().__init__(generation)
            (generation.folder / "run.json").unlink()

    monkeypatch.setattr(generations, "ReadLock", Late)
    with pytest.raises(WarehouseNotFound):
        acquire(tmp_path, 1)


def test_nothing_published_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WarehouseNotFound, match="dicomhouse build"):
        acquire(tmp_path)
    build(tmp_path, "one")
    with pytest.raises(WarehouseNotFound, match="there are: 1"):
        acquire(tmp_path, 7)
