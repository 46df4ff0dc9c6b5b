"""Files that take the place of others: whole and on the disk, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dicomhouse.filesystem import private_name, replacing


def test_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    names: list[set[str]] = []

    def seen(call: Callable[[int], None], descriptor: int) -> None:
        names.append({path.name for path in tmp_path.iterdir()})
        assert file.read_text() == "old"
        assert os.fstat(descriptor).st_size == len("newer")
        call(descriptor)

    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen(real, descriptor))
    with replacing(file) as private:
        private.write_text("newer")
    assert names == [{"file", private.name}]
    assert file.read_text() == "newer"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("failure", [OSError, KeyboardInterrupt])
def test_what_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, failure: type[BaseException]
) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    with pytest.raises(failure), replacing(file) as private:
        private.write_text("half")
        raise failure
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_private_name_is_hidden_beside_the_file_and_no_one_elses(tmp_path: Path) -> None:
    one, other = (private_name(tmp_path / "file.parquet") for _ in range(2))
    assert one != other
    assert one.parent == tmp_path
    assert one.name.startswith(".file.parquet.")
    assert one.suffix == ".tmp"  # so that no glob of Parquet finds it
