"""A batch in a worker: what the file system refuses is a row with its reason."""

from __future__ import annotations

import io
import math
import os
from io import FileIO
from pathlib import Path
from threading import Event
from threading import enumerate as enumerate_threads
from typing import Any

import pyarrow.parquet as pq
import pytest
from incremental import build_lake, lake_rows

from dicomhouse.dicom.bounds import Bounds
from dicomhouse.diff import file_elements
from dicomhouse.errors import ExtractionFailed, UsageError
from dicomhouse.filesystem import Files, open_file
from dicomhouse.lake.extract import extract_batch
from dicomhouse.lake.orders import Batch
from dicomhouse.settings import Settings
from dicomhouse.sources import opening
from dicomhouse.testing import write_image
from dicomhouse.warehouse import pixels


class BadDisk(io.BytesIO):
    """A file whose first kilobyte can be read, and no byte behind it."""

    def __init__(self, file: FileIO) -> None:
        super().__init__(file.read())
        self.fileno = file.fileno

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() + (1 << 20 if size is None or size < 0 else size) > 1024:
            raise OSError(5, "Input/output error")
        return super().read(size)


def test_vanished_refused_and_unread_files_are_rows_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("good", "locked", "bad_disk"):
        write_image(tmp_path / name)
    problem = "file_unreadable: Too many levels of symbolic links"
    names = ("bad_disk", "gone", "good", "held", "locked", "loop")
    times = " ".join("7" * len(names))
    found = Files("", "/".join(names), times, times, {"loop": problem})
    batch = Batch.of("part-1", "s", "run", str(tmp_path), [found], Bounds())
    batch = Batch.load(batch.save(tmp_path))

    def faulty_file(os_path: str) -> Any:
        if os_path.endswith("locked"):
            raise PermissionError(13, "Permission denied")
        if os_path.endswith("held"):  # by a lease of another program's
            raise BlockingIOError(11, "Resource temporarily unavailable")
        opened, status = open_file(os_path)
        return BadDisk(opened) if os_path.endswith("bad_disk") else opened, status

    monkeypatch.setattr(opening, "open_file", faulty_file)
    summary = extract_batch(batch, tmp_path / "lake")
    monkeypatch.undo()
    assert summary.statuses == {"ok": 1, "unreadable": 5}
    (part,) = (tmp_path / "lake" / "files").rglob("*.parquet")
    reasons = {row["path"]: row["reason"] for row in pq.ParquetFile(part).read().to_pylist()}
    assert reasons == {
        "good": None,
        "gone": "file_unreadable: No such file or directory",
        "locked": "file_unreadable: Permission denied",
        "held": "file_unreadable: Resource temporarily unavailable",
        "bad_disk": "file_unreadable: Input/output error",
        "loop": problem,
    }


def hanging(monkeypatch: pytest.MonkeyPatch, *names: str) -> Event:
    """Let files of these names hang as they are opened, until the event."""
    ended = Event()

    def hangs(os_path: str) -> Any:
        if os_path.rpartition("/")[2] in names:
            ended.wait()
        return open_file(os_path)

    monkeypatch.setattr(opening, "open_file", hangs)
    return ended


def test_file_that_hangs_is_a_row_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        write_image(tmp_path / "in" / name)
    ended = hanging(monkeypatch, "b")
    settings = Settings((str(tmp_path / "in"),), tmp_path / "w", bounds=Bounds(max_seconds=2))
    build_lake(settings)
    rows = lake_rows(tmp_path / "w")
    assert len(rows["files"]) == 3 and len(rows["images"]) == 2
    assert sum("file_unreadable: not read within 2 s" in row for row in rows["files"]) == 1
    threads = [thread for thread in enumerate_threads() if thread.name == "reader"]
    ended.set()
    for thread in threads:
        thread.join()
    assert lake_rows(tmp_path / "w") == rows  # what was left to itself writes nothing
    told: list[str] = []
    build_lake(settings, told)
    assert "build: 1 file changed" in told
    assert len(lake_rows(tmp_path / "w")["images"]) == 3


def test_storage_that_hangs_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abcde":
        write_image(tmp_path / "in" / name)
    ended = hanging(monkeypatch, "b", "c", "d")
    settings = Settings((str(tmp_path / "in"),), tmp_path / "w", bounds=Bounds(max_seconds=1))
    with pytest.raises(ExtractionFailed, match="3 files in a row were not read within 1 s each"):
        build_lake(settings)
    ended.set()
    build_lake(settings)
    assert len(lake_rows(tmp_path / "w")["images"]) == 5


def test_pipe_is_opened_without_waiting_and_found_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(OSError, match="no file any more"):
            open_file(tmp_path / name)
    with pytest.raises(UsageError, match="no file any more"):
        file_elements(tmp_path / "pipe")
    assert pixels._digest(str(tmp_path / "pipe"), 0, math.inf) == (
        None,
        "file_unreadable: no file any more",
    )


def test_file_is_told_as_it_was_opened_whatever_stands_there_now(tmp_path: Path) -> None:
    write_image(tmp_path / "1")
    size = (tmp_path / "1").stat().st_size
    stream, status = open_file(tmp_path / "1")
    (tmp_path / "2").write_bytes(b"another")
    (tmp_path / "2").replace(tmp_path / "1")
    with stream:
        assert (len(stream.read()), status.st_size) == (size, size)
