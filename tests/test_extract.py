"""A batch in a worker: what the file system refuses is a row with its reason."""

from __future__ import annotations

import io
from io import FileIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from dicomhouse.lake import extract
from dicomhouse.lake.extract import extract_batch
from dicomhouse.lake.orders import Batch, Entry, FileFacts
from dicomhouse.testing import write_image


class BadDisk(io.BytesIO):
    """A file whose first kilobyte can be read, and no byte behind it."""

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
    names = {"good": None, "gone": None, "locked": None, "bad_disk": None, "loop": problem}
    entries = [
        Entry(FileFacts(name, 1, 1), str(tmp_path / name), told) for name, told in names.items()
    ]
    batch = Batch.load(Batch("part-1", "s", "run", entries).save(tmp_path))

    def faulty_file(os_path: str) -> Any:
        if os_path.endswith("locked"):
            raise PermissionError(13, "Permission denied")
        opened = FileIO(os_path)
        return BadDisk(opened.read()) if os_path.endswith("bad_disk") else opened

    monkeypatch.setattr(extract, "FileIO", faulty_file)
    summary = extract_batch(batch, tmp_path / "lake")
    monkeypatch.undo()
    assert summary.statuses == {"ok": 1, "unreadable": 4}
    (part,) = (tmp_path / "lake" / "files").rglob("*.parquet")
    reasons = {row["path"]: row["reason"] for row in pq.ParquetFile(part).read().to_pylist()}
    assert reasons == {
        "good": None,
        "gone": "file_unreadable: No such file or directory",
        "locked": "file_unreadable: Permission denied",
        "bad_disk": "file_unreadable: Input/output error",
        "loop": problem,
    }
