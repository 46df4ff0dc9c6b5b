"""Runs that follow each other: whatever happened in between, the lake is that of a clean build."""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from changing import CONTENTS, MEMORY, change, play, write
from counting import counted, grouped
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from incremental import build_lake, lake_rows

import dicomhouse
from dicomhouse import versions
from dicomhouse.dicom.bounds import Bounds
from dicomhouse.errors import SourceLost, StorageError, UsageError, WarehouseTooNew
from dicomhouse.filesystem import open_file
from dicomhouse.lake import extract, keys
from dicomhouse.lake.orders import Batch
from dicomhouse.lake.records import records
from dicomhouse.run import build as steps
from dicomhouse.run import plan, workers
from dicomhouse.run.context import Run
from dicomhouse.settings import Settings
from dicomhouse.sources import opening
from dicomhouse.store import failures
from dicomhouse.store.generations import current
from dicomhouse.store.plan import merges
from dicomhouse.testing import dataset_bytes


@pytest.fixture
def empty() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        yield Path(name)


@pytest.fixture
def root(empty: Path) -> Path:
    """Two folders of two files each."""
    for name, kind in (("s/a/1", "ct"), ("s/a/2", "mr"), ("s/b/3", "text"), ("s/b/4", "ct")):
        write(empty / name, kind)
    return empty


rounds = st.lists(st.lists(change, min_size=1, max_size=8), min_size=1, max_size=6)


@given(rounds, st.sampled_from((2, 8, 16)))
@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
def test_any_sequence_of_changes_gives_the_lake_of_one_clean_build(
    rounds: list[list[tuple]], batch_files: int
) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        root = Path(name)
        (root / "s").mkdir()
        (root / "t").mkdir()
        (root / "s" / "first").write_bytes(CONTENTS["ct"])
        sources = (str(root / "s"), str(root / "t"))
        of = {"batch_files": batch_files, "allow_empty": True, "allow_shrink": True}
        for second, changes in enumerate(rounds, 1_700_000_000):
            play(root, changes, second)
            build_lake(Settings(sources, root / "w", **of))
        build_lake(Settings(sources, root / "clean", allow_empty=True))
        assert lake_rows(root / "w") == lake_rows(root / "clean")
        generation = current(root / "w")
        assert generation is not None
        assert counted(generation.lake) == grouped(generation.lake)


def build(root: Path, *sources: str, **named: Any) -> list[str]:
    """One run on `root`/w; what it said."""
    told: list[str] = []
    build_lake(Settings(tuple(str(root / name) for name in sources), root / "w", **named), told)
    return told


def assert_clean(root: Path, *sources: str) -> None:
    """The warehouse is what one clean build of these sources gives."""
    paths = tuple(str(root / name) for name in sources)
    shutil.rmtree(root / "clean", ignore_errors=True)
    build_lake(Settings(paths, root / "clean"))
    assert lake_rows(root / "w") == lake_rows(root / "clean")


def state(root: Path) -> list[tuple[str, int]]:
    """Every file of the warehouse and its inode."""
    paths = (root / "w" / "generations").rglob("*")
    return sorted((str(path), path.stat().st_ino) for path in paths)


def read_in(told: list[str]) -> int:
    """How many files a run planned to read."""
    (line,) = [line for line in told if line.startswith("plan:")]
    return int(line.split(",")[1].split()[0])


def test_nothing_changed_touches_nothing_and_says_so(root: Path) -> None:
    build(root, "s")
    before = state(root)
    for sources in (("s",), ()):
        assert build(root, *sources)[-1] == "nothing changed since generation 1"
        assert state(root) == before


def test_only_what_changed_is_read(root: Path) -> None:
    assert read_in(build(root, "s")) == 4
    write(root / "s/a/1", "mr", 1_700_000_009)
    write(root / "s/c/5", "ct")
    (root / "s/b/4").rename(root / "s/b/moved")
    told = build(root, "s")
    assert "build: 2 files new; 1 file changed; 1 file gone" in told
    assert read_in(told) == 3
    assert_clean(root, "s")


def test_value_of_a_removed_file_is_in_no_file_of_the_new_lake(root: Path) -> None:
    secret = dataset_bytes(Modality="CT", PatientID="SECRET-77", PatientComments="SECRET-77")
    (root / "s/a/0").write_bytes(secret)
    build(root, "s")
    (root / "s/a/0").unlink()
    build(root, "s")
    generation = current(root / "w")
    assert generation is not None
    for path in generation.lake.rglob("*.parquet"):
        metadata = pq.read_metadata(path)
        compressed = path.read_bytes()
        assert b"SECRET-77" not in compressed, path
        for group in range(metadata.num_row_groups):
            for column in range(metadata.num_columns):
                statistics = metadata.row_group(group).column(column).statistics
                assert "SECRET" not in str(statistics and statistics.to_dict())
        if "elements" in str(path):
            values = pq.ParquetFile(path, read_dictionary=["value"]).read()["value"]
            for chunk in values.chunks:
                assert "SECRET-77" not in chunk.dictionary.to_pylist()


def test_hundred_small_runs_leave_few_parts_and_cost_little(empty: Path) -> None:
    rewritten = 0
    for number in range(100):
        write(empty / "s" / str(number), "ct")
        build(empty, "s")
        generation = current(empty / "w")
        assert generation is not None
        parts = list(records(generation.parts))
        rewritten += sum(r.files for r in parts if r.rewritten and generation.folder.name in r.name)
    assert len(parts) <= 7
    assert len(list((generation.lake / "images").rglob("part-*.parquet"))) == len(parts)
    assert rewritten <= 100 * 8
    assert_clean(empty, "s")


@given(st.lists(st.integers(1, 5000), max_size=200), st.integers(1, 3000))
def test_merging_keeps_few_parts_of_bounded_size(sizes: list[int], full: int) -> None:
    named = {str(number): size for number, size in enumerate(sizes)}
    groups = merges(named, full)
    merged = [name for group in groups for name in group]
    assert len(merged) == len(set(merged))
    assert all(named[name] < full for name in merged)
    assert all(sum(named[name] for name in group) <= 2 * full for group in groups)
    left = [size for name, size in named.items() if name not in merged]
    left += [sum(named[name] for name in group) for group in groups]
    assert sum(left) == sum(sizes)
    small = [size for size in left if size < full]
    assert len(small) <= math.log2(sum(small) + 1) + 2


def test_source_that_is_gone_has_one_answer_named_or_not(root: Path) -> None:
    write(root / "t/1", "mr")
    build(root, "s", "t")
    (root / "s").rename(root / "away")
    for named in ((), ("s", "t")):
        with pytest.raises(SourceLost, match=r"source s: no folder .*--forget s"):
            build(root, *named)


def test_sources_stay_until_they_are_forgotten(root: Path) -> None:
    write(root / "t/x", "mr")
    build(root, "s", "t")
    write(root / "t/y", "ct")
    assert "build: 1 file new" in build(root, "t")
    assert_clean(root, "s", "t")
    with pytest.raises(UsageError, match="no source u to forget; the warehouse has: s, t"):
        build(root, forget=("u",))
    with pytest.raises(UsageError, match="both"):
        build(root, "s", forget=("s",))
    with pytest.raises(UsageError, match="no source would be left"):
        build(root, forget=("s", "t"))
    shutil.rmtree(root / "s")
    assert "1 source forgotten" in "".join(build(root, forget=("s",)))
    assert_clean(root, "t")
    shutil.rmtree(root / "t")
    for allow_empty in (False, True):
        with pytest.raises(SourceLost, match=r"source t: no folder .*--forget t"):
            build(root, allow_empty=allow_empty)


def test_source_that_is_suddenly_empty_does_not_empty_the_warehouse(root: Path) -> None:
    build(root, "s")
    before = lake_rows(root / "w")
    shutil.rmtree(root / "s")
    (root / "s").mkdir()
    with pytest.raises(SourceLost, match="where there were 4"):
        build(root, "s")
    assert lake_rows(root / "w") == before
    build(root, "s", allow_empty=True)
    assert lake_rows(root / "w")["files"] == []


def test_source_that_lost_more_than_a_fifth_of_its_files_stops_the_run(root: Path) -> None:
    for number in range(60):
        write(root / "s" / ("u" if number < 40 else "v") / str(number), "mr")
    shutil.copytree(root / "s", root / "t")
    build(root, "s", "t")
    before = lake_rows(root / "w")
    for number in range(20):
        (root / "s" / "u" / str(number)).unlink()
    with pytest.raises(SourceLost, match=r"s: 44 files .*where there were 64.*--allow-shrink"):
        build(root, "t", "s")
    with pytest.raises(SourceLost):
        build(root, "s", allow_empty=True)
    with pytest.raises(SourceLost):
        build(root, "s", verify=True)
    assert lake_rows(root / "w") == before
    assert [noted["failure"][:18] for noted in failures.noted(root / "w")] == [
        "source s: 44 files"
    ] * 3
    build(root, "t")  # the others go on
    build(root, "s", allow_shrink=True)
    assert_clean(root, "s", "t")
    # Files that another source has now are not lost.
    build_lake(Settings((f"inner={root / 's' / 'v'}", str(root / "s")), root / "w"))
    build(root, forget=("s",))


def test_few_files_that_are_gone_are_believed(root: Path) -> None:
    for number in range(100):
        write(root / "t" / str(number), "mr")
    build(root, "s", "t")
    for name in [path for path in (root / "s").rglob("*") if path.is_file()][1:]:
        name.unlink()
    for number in range(20):
        (root / "t" / str(number)).unlink()
    build(root, "s", "t")  # three of four, and a fifth of a hundred
    assert_clean(root, "s", "t")
    for number in range(20, 36):
        (root / "t" / str(number)).unlink()
    build(root, "t")
    for number in range(36, 49):
        (root / "t" / str(number)).unlink()
    with pytest.raises(SourceLost, match=r"51 files .* there were 64"):
        build(root, "t")


def test_files_are_read_while_the_scan_goes_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(9):
        write(root / "s" / str(number) / "1", "ct")
    made: list[int] = []
    real = plan.scan

    def watched(run: Run, *given: Any) -> Iterator[Any]:
        for found in real(run, *given):
            made.append(len(list(records(run.generation.parts))))
            yield found

    monkeypatch.setattr(plan, "scan", watched)
    monkeypatch.setattr(workers, "FEW_FILES", 0)
    build(root, "s", batch_files=1)
    assert made[0] == 0 < made[-1] < 13
    assert_clean(root, "s")


def test_what_was_read_before_a_source_was_found_empty_is_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root / "t/1", "mr")
    build(root, "s", "t")
    before = lake_rows(root / "w")
    (root / "t/1").unlink()
    for number in range(9):
        write(root / "s" / str(number) / "1", "ct")
    monkeypatch.setattr(workers, "FEW_FILES", 0)
    with pytest.raises(SourceLost, match="where there were 1"):
        build(root, "s", "t", batch_files=1)
    assert lake_rows(root / "w") == before
    write(root / "t/1", "mr")
    assert 0 < read_in(build(root, "s", "t", batch_files=1)) < 9
    assert_clean(root, "s", "t")


def test_source_unmounted_while_it_is_read_loses_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(root, "s")
    before = lake_rows(root / "w")
    write(root / "s/c/5", "ct")
    real = extract.extract_batch

    def unmounted(batch: Batch, lake: Path) -> Any:
        (root / "s").rename(root / "elsewhere")
        (root / "s").mkdir()
        return real(batch, lake)

    monkeypatch.setattr(extract, "extract_batch", unmounted)
    with pytest.raises(SourceLost, match="replaced or unmounted"):
        build(root, "s")
    monkeypatch.undo()
    assert lake_rows(root / "w") == before
    (root / "s").rmdir()
    (root / "elsewhere").rename(root / "s")
    build(root, "s")
    assert_clean(root, "s")


def test_unread_files_are_tried_again_on_request(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(path: str) -> Any:
        if path.endswith("4"):
            raise OSError(5, "Input/output error")
        return open_file(path)

    monkeypatch.setattr(opening, "open_file", faulty)
    build(root, "s")
    monkeypatch.undo()
    assert "nothing changed" in build(root, "s")[-1]
    assert "build: 1 file tried again" in build(root, "s", retry=True)
    assert_clean(root, "s")
    assert "nothing changed" in build(root, "s", retry=True)[-1]


def test_file_that_goes_or_changes_while_it_is_read_is_looked_at_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Written(FileIO):
        """A file that somebody else writes to as it is read."""

        def read(self, size: int | None = -1) -> bytes:
            with Path(str(self.name)).open("ab") as file:
                file.write(b"more")
            return super().read(size)

    def moving(path: str) -> Any:
        if path.endswith("1"):
            Path(path).unlink()
        stream, status = open_file(path)
        return Written(path) if path.endswith("4") else stream, status

    monkeypatch.setattr(opening, "open_file", moving)
    build(root, "s")
    monkeypatch.undo()
    rows = "".join(lake_rows(root / "w")["files"])
    assert "No such file" in rows
    assert "file_changed" in rows
    assert "1 file changed; 1 file gone" in "".join(build(root, "s"))
    assert_clean(root, "s")


def test_old_generations_go_where_nothing_changed_too(root: Path) -> None:
    build(root, "s")
    write(root / "s/c/5", "ct")
    with dicomhouse.open(root / "w"):  # held while it is superseded
        build(root, "s", keep_generations=1)
    generations = root / "w" / "generations"
    assert sorted(folder.name for folder in generations.iterdir()) == ["000001", "000002"]
    assert "nothing changed since generation 2" in build(root, "s", keep_generations=1)[-1]
    assert [folder.name for folder in generations.iterdir()] == ["000002"]


def test_source_within_another_is_its_own_whoever_is_named(root: Path) -> None:
    build(root, "s", "s/b")
    assert "nothing changed" in build(root, "s")[-1]
    assert "nothing changed" in build(root, "s/b")[-1]
    assert "1 source forgotten" in "".join(build(root, "s", forget=("b",)))
    assert_clean(root, "s")


def test_source_that_becomes_one_within_another_takes_its_files_along(root: Path) -> None:
    build(root, "s")
    build(root, "s/b")
    assert_clean(root, "s", "s/b")


def test_folder_cannot_be_two_sources_one_after_the_other(root: Path) -> None:
    build(root, "s")
    again = (f"other={root / 's'}",)
    with pytest.raises(UsageError, match=r"is the source s already.*--forget s"):
        build_lake(Settings(again, root / "w"))
    build_lake(Settings(again, root / "w", forget=("s",)))
    assert [folder.name for folder in (root / "w/lake/files").iterdir()] == ["source=other"]


def test_source_is_found_again_whatever_its_name_holds(root: Path) -> None:
    (root / "s").rename(root / "site=1")
    build(root, "site=1")
    assert "nothing changed" in build(root)[-1]


def test_time_that_no_table_holds_is_none_and_the_file_is_read_once(root: Path) -> None:
    write(root / "s/1", "ct")
    os.utime(root / "s/1", ns=(0, 2**44 * 10**9))
    if (root / "s/1").stat().st_mtime_ns < 2**64:
        pytest.skip("this file system keeps no such times")
    build(root, "s")
    assert "nothing changed" in build(root, "s")[-1]


def test_link_into_the_warehouse_is_not_read(root: Path) -> None:
    build(root, "s")
    (root / "s/own").symlink_to(root / "w/lake")
    assert "nothing changed" in build(root, "s")[-1]


def test_warehouse_within_a_source_is_not_read(root: Path) -> None:
    settings = Settings((str(root),), root / "w")
    told: list[str] = []
    build_lake(settings, told)
    assert read_in(told) == 4
    build_lake(settings, told)
    assert "nothing changed" in told[-1]


def test_name_that_readers_take_for_none_is_told(root: Path) -> None:
    with pytest.raises(UsageError, match="no source can be named __HIVE"):
        build_lake(Settings((f"__HIVE_DEFAULT_PARTITION__={root / 's'}",), root / "w"))


def test_folder_that_is_named_twice_is_told(root: Path) -> None:
    with pytest.raises(UsageError, match="sources a and b are one folder"):
        build_lake(Settings((f"a={root / 's'}", f"b={root / 's'}"), root / "w"))
    with pytest.raises(UsageError, match="both source and warehouse"):
        build_lake(Settings((str(root / "s"),), root / "s"))


def test_damaged_part_is_told_and_a_full_refresh_reads_its_files_again(root: Path) -> None:
    build(root, "s")
    write(root / "s/c/5", "ct")
    for table in ("files", "*"):
        for damaged in (root / "w" / "lake").glob(f"{table}/**/part-*.parquet"):
            if table == "files" or "files" not in damaged.parts:
                damaged.write_bytes(b"no table")
        (root / "s/c/5").unlink(missing_ok=True)
        with pytest.raises(StorageError, match="Build again with --full-refresh"):
            build(root, "s")
        write(root / "s/c/5", "ct")
        assert read_in(build(root, "s", full_refresh=True)) == 5
    assert_clean(root, "s")


def test_full_refresh_takes_nothing_from_a_run_that_was_none(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: Any) -> None:
        raise KeyboardInterrupt

    for refreshes, read in ((False, 4), (True, 0)):
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(steps, "finish_lake", stop)
            build(root, "s", full_refresh=refreshes)
        assert read_in(build(root, "s", full_refresh=True)) == read
    assert_clean(root, "s")


def test_full_refresh_reads_everything_again(root: Path) -> None:
    build(root, "s")
    told = build(root, "s", full_refresh=True)
    assert "build: full refresh" in told
    assert read_in(told) == 4
    assert_clean(root, "s")


def test_verify_finds_what_size_and_time_hide(root: Path) -> None:
    build(root, "s")
    data = CONTENTS["ct"].replace(b"P1", b"P9")
    assert data != CONTENTS["ct"]
    (root / "s/a/1").write_bytes(data)
    os.utime(root / "s/a/1", (1_700_000_000, 1_700_000_000))
    assert "nothing changed" in build(root, "s")[-1]
    told = build(root, "s", verify=True)
    assert "build: 1 file of other contents" in told
    assert read_in(told) == 1
    assert_clean(root, "s")
    assert "nothing changed" in build(root, "s", verify=True)[-1]


def test_verify_counts_a_changed_file_once(root: Path) -> None:
    build(root, "s")
    write(root / "s/a/1", "mr")
    assert "build: 1 file changed" in build(root, "s", verify=True)
    assert_clean(root, "s")


def test_other_bounds_read_everything_and_verify_reads_with_them(root: Path) -> None:
    build(root, "s")
    narrow = Bounds(max_text_bytes=4)
    assert "another reader, other bounds" in "".join(build(root, "s", bounds=narrow))
    assert "nothing changed" in build(root, "s", verify=True, bounds=narrow)[-1]
    assert "another reader, other bounds" in "".join(build(root, "s"))
    assert_clean(root, "s")


def test_other_extractor_reads_everything_and_other_models_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root / "t/x", "mr")
    build(root, "s", "t")
    monkeypatch.setattr(versions, "models", lambda: "other")
    told = build(root, "s")
    assert "build: the models changed" in told
    assert read_in(told) == 0
    monkeypatch.setattr(versions, "extractor", lambda *words: "other")
    told = build(root, "s")  # t is read too: its parts are of no use
    assert "another reader, other bounds" in "".join(told)
    assert read_in(told) == 5
    assert "nothing changed" in build(root, "s")[-1]
    assert "build: other tolerances" in build(root, "s", tolerances={"missing_slices": 0.5})


def test_newer_warehouse_is_refused(root: Path) -> None:
    build(root, "s")
    path = root / "w" / "current" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99, "dicomhouse": "9.9"}))
    for use in (lambda: build(root, "s"), lambda: dicomhouse.open(root / "w")):
        with pytest.raises(WarehouseTooNew, match=r"dicomhouse 9\.9"):
            use()


def test_digests_follow_what_they_stand_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "dbt"
    shutil.copytree(versions.dbt_project(), project)
    shipped = versions.models()
    monkeypatch.setenv("DICOMHOUSE_DBT", str(project))
    assert versions.models() == shipped
    (project / "logs").mkdir(exist_ok=True)
    (project / "logs" / "dbt.log").write_text("something")
    assert versions.models() == shipped
    (project / "models" / "summaries" / "patients.sql").write_text("select 1")
    assert versions.models() != shipped
    before = versions.extractor("bounds", "key")
    assert before != versions.extractor("other bounds", "key")
    assert before != versions.extractor("bounds", "other key")
    versions.extractor.cache_clear()
    monkeypatch.setattr(versions, "READER", versions.READER + 1)
    assert versions.extractor("bounds", "key") != before
    versions.extractor.cache_clear()


def test_file_ids_are_a_warehouses_own_and_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DICOMHOUSE_FILE_ID_KEY")
    source, warehouse = tmp_path / "in", tmp_path / "w"
    source.mkdir()
    for name in ("1", "2"):
        (source / name).write_bytes(CONTENTS["ct"])
    told: list[str] = []

    def ids(folder: Path, *options: str) -> dict[str, int]:
        told.clear()
        build_lake(Settings((str(source),), folder, **dict.fromkeys(options, True)), told)
        with dicomhouse.open(folder) as opened:
            rows = opened.files.select("path", "file_id").collect().iter_rows()
            return dict(rows)

    before = ids(warehouse)
    assert ids(tmp_path / "other") != before
    assert ids(warehouse, "full_refresh") == before
    (source / "3").write_bytes(CONTENTS["ct"])
    (source / "2").unlink()
    after = ids(warehouse)
    assert "plan: 0 parts kept, 1 files to read" in told  # a part is written anew without one file
    assert after.keys() == {"1", "3"}
    assert after["1"] == before["1"]
    key = warehouse / ".file-id-key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.read_text() not in (warehouse / "current" / "run.json").read_text()
    key.write_text("another")
    assert set(ids(warehouse).values()).isdisjoint(after.values())
    assert "plan: 0 parts kept, 2 files to read" in told


def test_key_of_a_killed_run_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / ".file-id-key.new").write_text("cut")
    key = keys.key_of(tmp_path)
    assert (len(key), keys.key_of(tmp_path)) == (32, key)
    (tmp_path / ".file-id-key").write_bytes(b"\xff" * 32)
    assert keys.stored_key(tmp_path) == ""
    (tmp_path / ".file-id-key").unlink()
    (tmp_path / "elsewhere").write_text("known")
    (tmp_path / ".file-id-key").symlink_to(tmp_path / "elsewhere")
    assert keys.stored_key(tmp_path) == ""


def test_texts_with_nul_make_keys_of_their_own() -> None:
    one = keys.patient_key("s", "A\0B", "C", "")
    assert one != keys.patient_key("s", "A", "B\0C", "")
    assert keys.patient_key("s", "A", None, "") == "e76bdcf4308eb9cc"
    assert keys.uid_key("series", "s", "1.2", "f") == "ed5ec571491aa6b5"
