"""Publication in one step; readers keep what they opened; leftovers go."""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import shutil
import stat
import struct
import subprocess
import sys
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from dicomhouse.cache import own_folder
from dicomhouse.errors import (
    StorageError,
    UsageError,
    WarehouseBusy,
    WarehouseNotFound,
    WarehouseTooNew,
)
from dicomhouse.store import generations
from dicomhouse.store.generations import (
    Generation,
    acquire,
    building,
    prune,
    publish,
    published,
)

DATABASE = bytes(8) + b"DUCK" + bytes(3 * 4096)
"""What looks like one from outside."""


def record(generation: Generation, text: str) -> dict[str, Any]:
    """What a run says of itself; the text stands for the program's version."""
    return {
        "format": 1, "run_id": f"{generation.number:06d}-01234567",
        "generation": generation.number, "dicomhouse": text, "extractor": "", "dictionary": "",
        "models": "", "sources": {"s": "/s"}, "started_at": "2026-01-01T00:00:00+00:00",
        "finished_at": "2026-01-01T00:00:01+00:00", "reasons": [], "drift": {"new": 1},
        "settings": {}, "files": {"ok": 1}, "images": 1, "elements": 1, "lake_bytes": 1,
        "parts": 1, "seconds": {"scan": 0.5},
    }  # fmt: skip


def build(warehouse: Path, text: str) -> None:
    with building(warehouse) as generation:
        generation.lake.mkdir()
        (generation.lake / "text").write_text(text)
        generation.database.write_bytes(DATABASE)
        publish(warehouse, generation, record(generation, text))


def read(warehouse: Path, number: int | None = None) -> str:
    """The text of a generation."""
    generation, lock = acquire(warehouse, number)
    lock.close()
    return str(generation.run()["dicomhouse"])


def test_reader_keeps_its_generation_while_the_next_is_published(tmp_path: Path) -> None:
    build(tmp_path, "one")
    generation, lock = acquire(tmp_path)
    build(tmp_path, "two")
    build(tmp_path, "three")
    prune(tmp_path, keep=1)
    assert (generation.lake / "text").read_text() == "one"
    assert read(tmp_path) == "three"
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
            generation.report / "index.html",
            generation.database,
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        publish(tmp_path, generation, record(generation, ""))
    made = {path for path in generation.folder.rglob("*") if not path.name.startswith(".")}
    # The record was synced before it had its name, and so is each part (test_filesystem).
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
    assert read(tmp_path) == "one"
    assert [f.name for f in (tmp_path / "generations").iterdir()] == ["000001"]


def test_leftovers_of_a_killed_build_are_removed(tmp_path: Path) -> None:
    build(tmp_path, "one")
    (tmp_path / "generations" / "000002" / "lake").mkdir(parents=True)
    (tmp_path / "generations" / "000002" / ".lock").touch()
    build(tmp_path, "three")
    assert [g.number for g in published(tmp_path)] == [1, 3]
    assert not (tmp_path / "generations" / "000002").exists()


def test_second_builder_is_told_who_the_first_is(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from dicomhouse.store.generations import building\n"
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
    with pytest.raises(UsageError, match="not valid UTF-8"), building(folder):
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

    def refused(path: Path) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(generations, "read_json", refused)
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


def everything(folder: Path) -> dict[str, tuple[int, str]]:
    """All that lies below a folder: mode and content of each."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        text = path.read_text() if path.is_file() and not path.is_symlink() else ""
        found[str(path.relative_to(folder))] = (path.lstat().st_mode, text)
    return found


def unmark(warehouse: Path) -> None:
    """Make it one of a release that had no mark."""
    (warehouse / ".dicomhouse").unlink()


def test_folder_of_somebody_is_left_as_it_is(tmp_path: Path) -> None:
    data = tmp_path / "study" / "generations" / "000123" / "mice"
    data.mkdir(parents=True)
    (data / "weights.csv").write_text("17")
    (data.parents[1] / ".removed-000001").mkdir()
    before = everything(tmp_path)
    with pytest.raises(UsageError, match="is not a warehouse"):
        build(tmp_path / "study", "one")
    assert everything(tmp_path) == before


def test_what_is_not_ours_among_the_generations_stays(tmp_path: Path) -> None:
    build(tmp_path, "one")
    generations = tmp_path / "generations"
    for name, content in {"000123": "weights.csv", "000124": ".lock", "000125": "run.json"}.items():
        (generations / name).mkdir()
        (generations / name / content).write_text("17")
    (generations / "000124" / "weights.csv").touch()
    (generations / "000126").symlink_to(generations / "000123")
    (generations / ".removed-notes").mkdir()
    before = everything(generations)
    for text in ("two", "three"):
        build(tmp_path, text)
        prune(tmp_path, keep=1)
    after = everything(generations)
    theirs = {name for name in before if not name.startswith("000001")} - {"."}
    assert {name: after[name] for name in theirs} == {name: before[name] for name in theirs}
    assert [g.number for g in published(tmp_path)] == [128]


@pytest.mark.parametrize("is_damaged", [False, True])
def test_warehouse_of_an_earlier_release_is_given_its_mark(
    tmp_path: Path, is_damaged: bool
) -> None:
    build(tmp_path, "one")
    build(tmp_path, "second")
    if is_damaged:
        (tmp_path / "current" / "run.json").write_text("")
    unmark(tmp_path)
    build(tmp_path, "two")
    assert (tmp_path / ".dicomhouse").read_text() == "dicomhouse warehouse 1\n"
    assert read(tmp_path) == "two"


@pytest.mark.parametrize("oddity", ["file", "deep", "elsewhere", "none", "record", "lake"])
def test_mark_is_given_to_nothing_that_may_be_somebodys(tmp_path: Path, oddity: str) -> None:
    warehouse = tmp_path / "w"
    build(warehouse, "one")
    unmark(warehouse)
    link = warehouse / "current"
    match oddity:
        case "file":
            (warehouse / "letters.txt").touch()
        case "deep":
            link.unlink()
            link.symlink_to("generations/000001/lake")
        case "elsewhere":
            link.unlink()
            link.symlink_to("../other/generations/000001")
        case "none":
            link.unlink()
        case "record":
            (warehouse / "current" / "run.json").write_text('{"generation": 1}')
        case "lake":
            (warehouse / "lake").unlink()
            (warehouse / "lake").symlink_to(tmp_path)
    before = everything(warehouse)
    with pytest.raises(UsageError, match="is not a warehouse"):
        build(warehouse, "two")
    assert everything(warehouse) == before


def test_mark_of_a_later_release_or_of_nobody_is_refused(tmp_path: Path) -> None:
    build(tmp_path, "one")
    mark = tmp_path / ".dicomhouse"
    for text, error in (("dicomhouse warehouse 2\n", WarehouseTooNew), ("mine", UsageError)):
        mark.write_text(text)
        with pytest.raises(error, match="dicomhouse"):
            build(tmp_path, "two")
    assert read(tmp_path) == "one"


@pytest.mark.parametrize("name", [".", "generations"])
@pytest.mark.parametrize("way", ["mode", "mode unmarked", "owner"])
def test_warehouse_that_others_may_write_is_not_built_on(
    tmp_path: Path, name: str, way: str
) -> None:
    build(tmp_path, "one")
    if way.endswith("unmarked"):
        unmark(tmp_path)
    if way.startswith("mode"):
        (tmp_path / name).chmod(0o720)
    elif os.geteuid() != 0:
        pytest.skip("only root gives a folder away")
    else:
        os.chown(tmp_path / name, 65534, -1)
    before = everything(tmp_path)
    with pytest.raises(UsageError, match=r"is another user's|others may write to"):
        build(tmp_path, "two")
    assert everything(tmp_path) == before
    assert read(tmp_path) == "one"


def test_folder_of_another_user_becomes_no_warehouse(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives a folder away")
    folder = tmp_path / "theirs"
    folder.mkdir()
    folder.chmod(0o755)
    os.chown(folder, 65534, -1)
    with pytest.raises(StorageError, match="another user's"):
        build(folder, "one")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", [".build-lock", ".dicomhouse", "generations"])
def test_link_in_the_place_of_ours_is_not_followed(tmp_path: Path, name: str) -> None:
    warehouse, victim = tmp_path / "w", tmp_path / "victim"
    build(warehouse, "one")
    (warehouse / name).rename(victim)
    if victim.is_file():
        victim.write_text("dicomhouse warehouse 1\n")
    (warehouse / name).symlink_to(victim)
    before = everything(tmp_path)
    with pytest.raises((StorageError, UsageError), match="w"):
        build(warehouse, "two")
    assert everything(tmp_path) == before


def test_file_that_is_the_lock_too_is_not_truncated(tmp_path: Path) -> None:
    warehouse, victim = tmp_path / "w", tmp_path / "victim"
    build(warehouse, "one")
    victim.write_text("diary")
    (warehouse / ".build-lock").unlink()
    (warehouse / ".build-lock").hardlink_to(victim)
    with pytest.raises(UsageError, match="hard link"):
        build(warehouse, "two")
    assert victim.read_text() == "diary"


def test_nothing_is_read_or_locked_through_a_pipe(tmp_path: Path) -> None:
    build(tmp_path, "one")
    build(tmp_path, "two")
    record = tmp_path / "current" / "run.json"
    record.unlink()
    os.mkfifo(record)
    assert read(tmp_path) == "one"


DAMAGE = {
    "cut": '{"format": 1, "run_id": "0000',
    "deep": "[" * 100_000,
    "empty": "",
    "binary": "\xff\x00",
    "array": "[]",
    "another": {"generation": 1},
    "number": {"images": "7"},
    "endless": {"images": 10**5000},
    "negative": {"elements": -1},
    "terminal": {"run_id": "\x1b[2J"},
    "status": {"files": {"\x1b[2J": 1}},
    "sources": {"sources": ["/etc"]},
    "relative": {"sources": {"s": "../../etc"}},
    "nan": {"seconds": {"scan": math.nan}},
    "format": {"format": True},
    "missing": {"parts": None},
}


@pytest.mark.parametrize(
    "kind", [*DAMAGE, "link", "bytes", "database", "no database", "log", "lake"]
)
def test_damaged_generation_gives_way_to_the_one_before(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    for text in ("one", "two"):
        build(tmp_path, text)
    folder = tmp_path / "generations" / "000002"
    if isinstance(change := DAMAGE.get(kind), dict):
        sys.set_int_max_str_digits(0)
        try:
            change = json.dumps(json.loads((folder / "run.json").read_text()) | change)
        finally:
            sys.set_int_max_str_digits(4300)
    if change is not None:
        (folder / "run.json").write_text(change, encoding="latin-1")
    elif kind == "link":
        (folder / "run.json").rename(tmp_path / "run.json")
        (folder / "run.json").symlink_to(tmp_path / "run.json")
    elif kind == "bytes":
        (folder / "warehouse.duckdb").unlink()
        (folder / "warehouse.duckdb").write_bytes(bytes(len(DATABASE)))
    elif kind == "log":
        os.mkfifo(folder / "warehouse.duckdb.wal")
    elif kind == "lake":
        (folder / "lake").rename(tmp_path / "elsewhere")
        (folder / "lake").symlink_to(tmp_path / "elsewhere")
    else:
        folder.joinpath("warehouse.duckdb").unlink()
        if kind == "database":
            folder.joinpath("warehouse.duckdb").touch()
    assert read(tmp_path) == "one"
    (told,) = caplog.messages
    assert f"{folder} is damaged" in told and "generation 1 takes its place" in told
    assert told.isprintable()
    with pytest.raises(StorageError, match=r"generation 2 in .* is damaged"):
        acquire(tmp_path, 2)
    caplog.clear()
    build(tmp_path, "three")
    assert "is damaged" in caplog.text
    assert read(tmp_path) == "three"
    prune(tmp_path, keep=1)
    assert folder.exists()  # nobody knows whose it is


def test_database_that_this_process_reads_is_not_opened_and_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path, "one")
    opened: list[str] = []
    real = generations.open_file

    def open_file(path: Path, flags: int = 0) -> Any:
        opened.append(path.name)
        return real(path, flags)

    monkeypatch.setattr(generations, "open_file", open_file)
    _, lock = acquire(tmp_path)
    assert "warehouse.duckdb" in opened
    opened.clear()
    acquire(tmp_path)[1].close()
    assert "warehouse.duckdb" not in opened
    lock.close()
    lock.close()
    acquire(tmp_path)[1].close()
    assert "warehouse.duckdb" in opened


@pytest.mark.parametrize(
    "target", ["generations/000001/lake", "../w/generations/000001", "/etc", "generations/../x"]
)
def test_link_to_the_current_generation_leads_to_one_or_nowhere(
    tmp_path: Path, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    build(tmp_path, "one")
    build(tmp_path, "two")
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to(target)
    assert read(tmp_path) == "two"
    assert "current" in caplog.text
    build(tmp_path, "three")
    assert str((tmp_path / "current").readlink()) == "generations/000003"


def test_copy_without_links_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    build(tmp_path / "w", "one")
    (tmp_path / "w" / "report").unlink()  # which this build has not written
    shutil.copytree(tmp_path / "w", tmp_path / "copy", symlinks=False)
    assert read(tmp_path / "copy") == "one"
    assert caplog.messages == []


def test_builder_that_is_just_ending_is_waited_for(tmp_path: Path) -> None:
    build(tmp_path, "one")
    with (tmp_path / ".build-lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(WarehouseBusy):
            build(tmp_path, "two")
        ending = Timer(0.2, fcntl.flock, (held, fcntl.LOCK_UN))
        ending.start()
        build(tmp_path, "two")
        ending.join()
    assert read(tmp_path) == "two"


def test_copy_without_links_gets_them_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    build(tmp_path / "w", "one")
    build(tmp_path / "w", "two")
    (tmp_path / "w" / "report").unlink()
    shutil.copytree(tmp_path / "w", tmp_path / "copy", symlinks=False)
    build(tmp_path / "copy", "three")
    (told,) = caplog.messages
    assert told.endswith("links again now: current, lake, warehouse.duckdb.")
    assert read(tmp_path / "copy") == "three"
    assert str((tmp_path / "copy" / "current").readlink()) == "generations/000003"
    assert str((tmp_path / "copy" / "lake").readlink()) == "current/lake"
    assert sorted(path.name for path in (tmp_path / "copy" / "generations").iterdir()) == [
        "000001", "000002", "000003",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["current", "lake", "warehouse.duckdb", "report"])
def test_what_is_no_copy_is_never_removed(tmp_path: Path, name: str) -> None:
    build(tmp_path / "w", "one")
    (tmp_path / "w" / "report").unlink()
    shutil.copytree(tmp_path / "w", tmp_path / "copy", symlinks=False)
    place = tmp_path / "copy" / name
    mine = place / "notes" if name != "warehouse.duckdb" else place
    mine.parent.mkdir(exist_ok=True)
    mine.unlink(missing_ok=True)
    mine.write_text("mine")
    with pytest.raises(UsageError, match=f"{name} is neither a link nor the copy"):
        build(tmp_path / "copy", "two")
    assert mine.read_text() == "mine"
    assert read(tmp_path / "copy") == "one"


def default_acl(folder: Path) -> None:
    """Let everyone read and write whatever is made in a folder: `setfacl -d -m u::7,g::7,o::7`."""
    entries = ((1, 7), (4, 7), (32, 7))  # owner, group, others
    packed = struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", tag, rights, 0xFFFFFFFF) for tag, rights in entries
    )
    try:
        os.setxattr(folder, "system.posix_acl_default", packed)
    except OSError:
        pytest.skip("no ACLs here")


def test_default_acl_opens_nothing_to_others(tmp_path: Path) -> None:
    default_acl(tmp_path)
    (tmp_path / "before").touch()
    assert stat.S_IMODE((tmp_path / "before").stat().st_mode) == 0o666  # the ACL works
    umask = os.umask(0o077)
    try:
        build(tmp_path / "w", "one")
    finally:
        os.umask(umask)
    for path in ((tmp_path / "w"), *(tmp_path / "w").rglob("*")):
        assert path.is_symlink() or not path.stat().st_mode & 0o077, path
    own = own_folder(own_folder(tmp_path / "cache") / "plans")
    assert stat.S_IMODE(own.stat().st_mode) == 0o700


def test_published_database_is_read_only(tmp_path: Path) -> None:
    build(tmp_path, "one")
    assert stat.S_IMODE((tmp_path / "warehouse.duckdb").stat().st_mode) == 0o400


def test_lock_that_is_a_link_removes_nothing(tmp_path: Path) -> None:
    for text in ("one", "two"):
        build(tmp_path, text)
    leftover = tmp_path / "generations" / "000003"
    (leftover / "lake").mkdir(parents=True)
    victim = tmp_path / ".victim"
    for folder in (leftover, leftover.with_name("000001")):
        (folder / ".lock").unlink(missing_ok=True)
        (folder / ".lock").symlink_to(victim)
    build(tmp_path, "four")
    prune(tmp_path, keep=1)
    assert {path.name for path in leftover.parent.iterdir()} == {"000001", "000003", "000004"}
    assert not victim.exists()


def test_path_of_a_file_is_no_warehouse(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WarehouseNotFound):
        acquire(tmp_path / "file")
    with pytest.raises(StorageError, match="Not a directory"):
        build(tmp_path / "file", "one")


def test_generation_that_cannot_be_locked_is_told(tmp_path: Path) -> None:
    build(tmp_path, "one")
    (tmp_path / "current" / ".lock").unlink()
    for make in (lambda lock: None, lambda lock: lock.symlink_to("/dev/null"), os.mkfifo):
        make(tmp_path / "generations" / "000001" / ".lock")
        with pytest.raises(StorageError, match="cannot lock"):
            acquire(tmp_path)
        (tmp_path / "current" / ".lock").unlink(missing_ok=True)
