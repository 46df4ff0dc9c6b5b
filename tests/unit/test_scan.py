"""Every file below a source is found once, whatever its name or the shape of the tree."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomhouse.errors import SourceLost, UsageError
from dicomhouse.filesystem import Files, below, os_path, printable
from dicomhouse.settings import absolute_source
from dicomhouse.sources import listing
from dicomhouse.sources.scan import Scan
from dicomhouse.sources.source import Source, sources_of
from dicomhouse.store.plan import batches, n_files

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""A file system that keeps more times than others do."""


def files(*sources: Source, apart: bool = False) -> list[list[Files]]:
    """What is found in each source, folder by folder."""
    scan = Scan(sources, apart=apart)
    try:
        return [list(scan.files(source)) for source in sources]
    finally:
        scan.close()


def paths(folder: Path) -> list[str]:
    (found,) = files(Source("s", str(folder)))
    return [path for one in found for path in paths_of(one)]


def paths_of(found: Files) -> list[str]:
    return [below(found.folder, name) for name in found.names.split("/")]


def test_source_takes_a_name_or_its_folders(tmp_path: Path) -> None:
    (tmp_path / "a=b").mkdir()
    assert Source.parse(f"first={tmp_path}").name == "first"
    assert Source.parse(str(tmp_path)).name == tmp_path.name
    assert Source.parse(str(tmp_path / "a=b")).name == "a=b"


def test_missing_source_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        Source.parse(str(tmp_path / "nowhere"))
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="not a folder"):
        Source.parse(str(tmp_path / "file"))


def test_address_of_a_store_is_a_source_and_others_are_wrong_usage() -> None:
    assert Source.parse("s3://bucket/ward a/") == Source("ward a", "s3://bucket/ward a")
    assert Source.parse("s3://bucket/a=b") == Source("a=b", "s3://bucket/a=b")
    assert absolute_source("s3://bucket/a=b", Path("/in")) == "s3://bucket/a=b"
    assert Source.parse("x=gs://bucket") == Source("x", "gs://bucket")
    for address in ("file:///etc", "x=http://host/a", "memory://"):
        with pytest.raises(UsageError, match="no such kind of store"):
            Source.parse(address)


def test_name_too_long_for_a_folder_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too long"):
        Source.parse(f"{'é' * 100}={tmp_path}")


def test_two_sources_of_one_name_are_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "x" / "data").mkdir(parents=True)
    (tmp_path / "y" / "data").mkdir(parents=True)
    with pytest.raises(UsageError, match="two sources are named data"):
        sources_of([str(tmp_path / "x" / "data"), str(tmp_path / "y" / "data")])


def test_order_is_that_of_names_and_not_of_creation(tmp_path: Path) -> None:
    for name in ("b/2", "b/1", "a/9", "z", "b/c/1"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.touch()
    assert paths(tmp_path) == ["z", "a/9", "b/1", "b/2", "b/c/1"]


def test_source_within_a_source_is_left_to_itself(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for path in ("1", "inner/2"):
        (tmp_path / path).touch()
    sources = sources_of([str(tmp_path), f"inner={tmp_path / 'inner'}"])
    assert [[one.names for one in found] for found in files(*sources)] == [["1"], ["2"]]


def test_link_loops_end_and_linked_files_count(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "1").touch()
    (tmp_path / "real" / "loop").symlink_to(tmp_path)
    (tmp_path / "also").symlink_to(tmp_path / "real")
    (tmp_path / "one").symlink_to(tmp_path / "real" / "1")
    assert sorted(paths(tmp_path)) == ["also/1", "one"]


def test_broken_link_and_odd_entries_are_findings(tmp_path: Path) -> None:
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("123")
    ((found,),) = files(Source("s", str(tmp_path)))
    assert found.names == "broken/file/pipe"
    assert found.sizes == "- 3 0"
    assert found.problems.keys() == {"broken", "pipe"}
    assert found.problems["broken"].startswith("file_unreadable")
    assert found.problems["pipe"].startswith("not_a_file")


def test_name_that_is_no_text_is_kept_as_escapes(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/\xff\xfe'\n.dcm"
    with open(raw, "wb"):  # noqa: PTH123
        pass
    (path,) = paths(tmp_path)
    assert path == "\\xff\\xfe'\n.dcm"
    assert os.fsencode(tmp_path) + b"/" + os.fsencode(os_path(path)) == raw


def test_batches_end_with_folders_and_lose_nothing(tmp_path: Path) -> None:
    for folder, n in (("a", 3), ("b", 3), ("c", 11), ("d", 1)):
        (tmp_path / folder).mkdir()
        for i in range(n):
            (tmp_path / folder / f"{i:02}").touch()
    (found,) = files(Source("s", str(tmp_path)))
    made = [batch for _, batch in batches([("s", one) for one in found], 4, jobs=1)]
    assert list(map(n_files, made)) == [6, 4, 4, 4]
    assert [p for batch in made for one in batch for p in paths_of(one)] == paths(tmp_path)


@given(st.binary(min_size=1).filter(lambda name: b"\0" not in name and b"/" not in name))
def test_name_that_is_stored_leads_back_to_its_file(name: bytes) -> None:
    assert os.fsencode(os_path(printable(os.fsdecode(name)))) == name


def test_name_beyond_any_file_system_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="no such folder"):
        Source.parse("x" * 300)


def build_tree(root: Path) -> list[Source]:
    """Two sources, one within the other, with all that a tree may hold but links to folders."""
    names = ("1", "b/2", "b/1", "b/c/d/1", "b/c/é\n'", "own/hidden", "z/inner/1", "z/inner/2/3")
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "empty").mkdir()
    (root / "b" / "broken").symlink_to("nowhere")
    (root / "b" / "linked").symlink_to(root / "1")
    odd = os.fsencode(root) + b"/\xff"
    os.mkdir(odd)  # noqa: PTH102
    for name in (b"\\", b"\xfe", b"z"):
        with open(odd + b"/" + name, "wb"):  # noqa: PTH123
            pass
    return [Source("outer", str(root)), Source("inner", str(root / "z" / "inner"))]


@pytest.mark.parametrize("end", ["awaited", "met", "killed"])
def test_process_that_looks_ahead_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    sources = build_tree(tmp_path)
    own = [tmp_path / "own"]
    there = [list(Scan(sources, own=own).files(source)) for source in sources]
    assert [sum(one.n_files for one in found) for found in there] == [10, 2]
    scan = Scan(sources, own=own, apart=True)
    listings = scan._listings
    assert listings._process is not None
    if end == "killed":
        listings._process.kill()
    if end != "met":
        listings._thread.join()
    with monkeypatch.context() as patched:
        if end == "awaited":
            patched.setattr(listing, "look", None)
        assert [list(scan.files(source)) for source in sources] == there
    scan.close()


def test_scan_needs_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = build_tree(tmp_path)
    there = files(*sources)

    def refused(*words: object, **named: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(listing.subprocess, "Popen", refused)
    assert files(*sources, apart=True) == there


def test_links_are_followed_by_who_looks_through_not_ahead(tmp_path: Path) -> None:
    sources = build_tree(tmp_path)
    (tmp_path / "a link").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    there = files(*sources)
    assert "a link/c/d" in [one.folder for one in there[0]]
    assert "b" not in [one.folder for one in there[0]]
    scan = Scan(sources, apart=True)
    scan._listings._thread.join()
    assert [list(scan.files(source)) for source in sources] == there
    scan.close()


def test_many_sources_are_looked_at_once_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [Source(str(number), str(tmp_path / str(number))) for number in range(100)]
    for source in sources:
        source.folder.mkdir()
    calls: list[str] = []
    real = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **named: calls.append(path) or real(path, **named))
    files(*sources)
    monkeypatch.undo()
    assert len(calls) <= 3 * len(sources)


def test_source_that_became_another_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    source = Source("s", str(tmp_path / "s"))
    scan = Scan([source])
    source.folder.rename(tmp_path / "elsewhere")
    source.folder.mkdir()
    with pytest.raises(SourceLost, match="replaced or unmounted"):
        list(scan.files(source))
    source.folder.rmdir()
    with pytest.raises(SourceLost, match="Is it mounted"):
        Scan([source])


def test_time_beyond_the_tables_is_unknown() -> None:
    with TemporaryDirectory(dir=MEMORY) as name:
        for number, time in enumerate((2**44 * 10**9, 1_700_000_000_123_456_789)):
            (Path(name) / str(number)).touch()
            os.utime(Path(name) / str(number), ns=(0, time))
        if (Path(name) / "0").stat().st_mtime_ns < 2**64:
            pytest.skip("this file system keeps no such times")
        ((found,),) = files(Source("s", name))
    assert found.times == "- 1700000000123456"


def test_list_of_another_system_names_the_same_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("1", "2"):
        (tmp_path / "a" / name).touch()
    (tmp_path / "list").write_bytes(b"\xef\xbb\xbfa/1\r\n\r\na/2\r\n")
    source = Source.parse(f"@{tmp_path / 'list'}")
    assert source.address == str(tmp_path / "a")
    ((found,),) = files(source)
    assert paths_of(found) == ["1", "2"] and not found.problems
