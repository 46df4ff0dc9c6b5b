"""What a source's globs leave out, what settles, and what is said of either."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from incremental import build_lake, lake_rows

from dicomhouse.errors import NothingSettled, UsageError
from dicomhouse.filesystem import Files, below
from dicomhouse.run.checks import check_settings
from dicomhouse.settings import Settings
from dicomhouse.sources.globs import Rules
from dicomhouse.sources.scan import Scan
from dicomhouse.sources.source import Source
from dicomhouse.store import waiting
from dicomhouse.store.generations import current
from dicomhouse.testing import write_image


def found(source: Source) -> tuple[list[str], int]:
    """The paths in a source, and how many files and folders were passed over."""
    scan = Scan([source])
    paths = [
        below(files.folder, name) for files in scan.files(source) for name in files.names.split("/")
    ]
    return sorted(paths), scan.passed_over[source.name]


def tree(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    return root


def test_what_systems_leave_is_passed_over_and_counted(tmp_path: Path) -> None:
    tree(
        tmp_path, "a/IM1", "a/._IM1", "a/Thumbs.db", "a/@eaDir/IM1/x", ".DS_Store", "b/Desktop.ini"
    )
    assert found(Source("s", str(tmp_path))) == (["a/IM1"], 5)


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        (Rules(), ["a/1.dcm", "a/b/2.dcm", "a/b/3.txt", "c/1.dcm"]),
        (Rules(exclude=("*.txt",)), ["a/1.dcm", "a/b/2.dcm", "c/1.dcm"]),
        (Rules(exclude=("b",)), ["a/1.dcm", "c/1.dcm"]),
        (Rules(exclude=("b/",)), ["a/1.dcm", "c/1.dcm"]),
        (Rules(exclude=("a/*.dcm",)), ["a/b/2.dcm", "a/b/3.txt", "c/1.dcm"]),
        (Rules(exclude=("a/**/*.dcm",)), ["a/b/3.txt", "c/1.dcm"]),
        (Rules(exclude=("**/3.*", "/c/*")), ["a/1.dcm", "a/b/2.dcm"]),
        (Rules(exclude=("[!1]*.dcm",)), ["a/1.dcm", "a/b/3.txt", "c/1.dcm"]),
        (Rules(exclude=("A", "*.DCM", "a/b/2", "?")), []),
        (Rules(include=("1.*",)), ["a/1.dcm", "c/1.dcm"]),
        (Rules(include=("b", "c/**")), ["a/b/2.dcm", "a/b/3.txt", "c/1.dcm"]),
        (Rules(include=("a/b",), exclude=("*.txt",)), ["a/b/2.dcm"]),
    ],
)
def test_globs_are_for_names_or_with_a_slash_for_paths(
    tmp_path: Path, rules: Rules, left: list[str]
) -> None:
    tree(tmp_path, "a/1.dcm", "a/b/2.dcm", "a/b/3.txt", "c/1.dcm")
    assert found(Source("s", str(tmp_path), rules))[0] == left


def test_quick_look_misses_nothing_that_would_be_left_out() -> None:
    for path in ("x/._1", "@eaDir/1", "a/b/.nfs000", "Thumbs.db", "plain/1"):
        folder, _, name = path.rpartition("/")
        files = Files(folder, name, "1", "1", {})
        is_left_out = Rules().sift(files) is None
        assert is_left_out == Rules().may_sift(files) == (path != "plain/1")


def test_globs_of_a_run_take_files_out_and_the_next_run_reads_them_again(tmp_path: Path) -> None:
    for number in range(20):
        write_image(tmp_path / "in" / ("junk" if number % 2 else "good") / str(number))
    source, warehouse = (str(tmp_path / "in"),), tmp_path / "w"
    build_lake(Settings(source, warehouse))
    told: list[str] = []  # half of all files, and yet no source that shrank
    record = build_lake(Settings(source, warehouse, exclude=("junk",)), told)
    assert record["files"] == {"ok": 10} and record["passed_over"] == {"in": 1}
    assert "scan: 1 files and folders passed over by globs" in told
    assert build_lake(Settings(source, warehouse))["files"] == {"ok": 20}


def test_folder_with_a_young_file_waits_and_keeps_what_was_published(tmp_path: Path) -> None:
    source, warehouse = tmp_path / "in", tmp_path / "w"
    old = time.time() - 1_000
    for path in ("arriving/1", "done/1"):
        os.utime(write_image(source / path), (old, old))
    settings = Settings((str(source),), warehouse, settle=600)
    build_lake(settings)
    before = lake_rows(warehouse)
    write_image(source / "arriving" / "2")
    os.utime(write_image(source / "arriving" / "1", SOPInstanceUID="1.2.3"), (old + 1, old + 1))
    told: list[str] = []
    build_lake(settings, told)
    assert "scan: 2 new or changed files wait for the next run: their folders still change" in told
    assert lake_rows(warehouse) == before and waiting.noted(warehouse) == {"in": 2}
    os.utime(source / "arriving" / "2", (old, old))
    assert build_lake(settings)["files"] == {"ok": 3}
    assert waiting.noted(warehouse) == {}


def test_first_build_whose_files_all_wait_publishes_nothing(tmp_path: Path) -> None:
    source, warehouse = tmp_path / "in", tmp_path / "w"
    for number in (1, 2):
        write_image(source / "arriving" / str(number))
    settings = Settings((str(source),), warehouse, settle=600)
    with pytest.raises(NothingSettled, match="nothing to build yet: 2 files wait") as told:
        build_lake(settings)
    assert told.value.exit_code == 3
    assert current(warehouse) is None and not list((warehouse / "generations").iterdir())
    old = time.time() - 1_000
    os.utime(write_image(source / "done" / "1"), (old, old))
    assert build_lake(settings)["files"] == {"ok": 1}


def test_files_of_a_source_that_is_not_looked_through_wait_on(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    old = time.time() - 1_000
    for source in (one, other):
        os.utime(write_image(source / "1"), (old, old))
    build_lake(Settings((str(one), str(other)), tmp_path / "w"))
    write_image(one / "2")
    for source in (one, other):
        build_lake(Settings((str(source),), tmp_path / "w", settle=600))
        assert waiting.noted(tmp_path / "w") == {"one": 1}
    build_lake(Settings((str(other),), tmp_path / "w", forget=("one",)))
    assert waiting.noted(tmp_path / "w") == {}


def test_file_of_the_future_does_not_wait_for_ever(tmp_path: Path) -> None:
    later = time.time() + 10_000
    os.utime(write_image(tmp_path / "in" / "1"), (later, later))
    settings = Settings((str(tmp_path / "in"),), tmp_path / "w", settle=600)
    assert build_lake(settings)["files"] == {"ok": 1}


def test_damaged_note_of_what_waits_is_none(tmp_path: Path) -> None:
    for damaged in ("", "[1]", '{"a": "b"}', json.dumps("x")):
        (tmp_path / "waiting.json").write_text(damaged)
        assert waiting.noted(tmp_path) == {}


def test_settling_less_than_nothing_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="settle"):
        Settings((), tmp_path, settle=-1)


def test_list_names_files_and_folders_and_what_is_gone_is_a_row(tmp_path: Path) -> None:
    tree(tmp_path / "in", "a/1", "a/2", "b/c/3", "b/4", "d/5")
    listed = tmp_path / "chosen.txt"
    listed.write_text(f"in/a/2\n{tmp_path}/in/b\n\nin/b/4\nin/a/gone\n")
    source = Source.parse(f"@{listed}")
    assert (source.name, source.address) == ("chosen", str(tmp_path / "in"))
    assert found(source)[0] == ["a/2", "a/gone", "b/4", "b/c/3"]
    scan = Scan([source])
    problems = [files.problems for files in scan.files(source) if files.problems]
    assert problems == [{"gone": "file_unreadable: the list names it, and it is not there"}]


def test_list_is_looked_through_again_without_being_named(tmp_path: Path) -> None:
    for name in "123":
        write_image(tmp_path / "in" / name)
    listed = tmp_path / "list"
    listed.write_text("in/1\nin/2\n")
    build_lake(Settings((f"@{listed}",), tmp_path / "w"))
    listed.write_text("in/1\nin/3\nin/2\n")
    assert build_lake(Settings((), tmp_path / "w"))["files"] == {"ok": 3}


def test_list_that_grows_beyond_its_folder_keeps_paths_below_the_source(tmp_path: Path) -> None:
    for path in ("in/a/1", "in/b/2"):
        write_image(tmp_path / path)
    listed = tmp_path / "list"
    listed.write_text("in/a/1\n")
    assert build_lake(Settings((f"@{listed}",), tmp_path / "w"))["sources"] == {
        "list": str(tmp_path / "in" / "a")
    }
    listed.write_text("in/a/1\nin/b/2\n")
    record = build_lake(Settings((), tmp_path / "w"))
    assert record["sources"] == {"list": str(tmp_path / "in")}
    rows = lake_rows(tmp_path / "w")["files"]
    assert ["'a/1'" in row or "'b/2'" in row for row in rows] == [True, True]


def test_lists_of_one_folder_are_sources_of_their_own(tmp_path: Path) -> None:
    for name in "12":
        write_image(tmp_path / "in" / name)
        (tmp_path / f"list{name}").write_text(f"in/{name}\n")
    one, other = (f"@{tmp_path / name}" for name in ("list1", "list2"))
    check_settings(Settings((one, other), tmp_path / "w"))
    build_lake(Settings((one,), tmp_path / "w"))
    assert build_lake(Settings((other,), tmp_path / "w"))["files"] == {"ok": 2}
    with pytest.raises(UsageError, match="list2 is the source list2 already"):
        build_lake(Settings((f"again={other}",), tmp_path / "w"))
    with pytest.raises(UsageError, match="one folder or list"):
        check_settings(Settings((one, f"again={one}"), tmp_path / "w"))


@pytest.mark.parametrize("glob", ["[z-a]", "a/[z-a]*", "", "/"])
def test_glob_that_can_match_no_name_is_wrong_usage(tmp_path: Path, glob: str) -> None:
    for given in ({"include": (glob,)}, {"rules": {"ward": {"exclude": (glob,)}}}):
        with pytest.raises(UsageError, match="is no glob"):
            Settings((), tmp_path, **given)


def test_list_that_cannot_be_read_or_is_empty_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the list"):
        Source.parse(f"@{tmp_path / 'nowhere'}")
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(UsageError, match="names no file"):
        Source.parse(f"@{tmp_path / 'empty'}")
