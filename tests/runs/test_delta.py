"""The lake as Delta tables, read by the programs of others."""

from __future__ import annotations

import datetime
import errno
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from incremental import build_lake

import dicomhouse
from dicomhouse.cli import main
from dicomhouse.errors import StorageError, UsageError
from dicomhouse.lake import delta
from dicomhouse.settings import Settings
from dicomhouse.store.generations import current
from dicomhouse.testing import write_image

deltalake = pytest.importorskip("deltalake")
NAME = "ward 1%ü"
TABLES = ("files", "elements", "images")
MOST = 2**64 - 1


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    write_image(tmp_path / "in" / "p1" / "1", PatientID="P1", StudyTime="101112.5")
    write_image(tmp_path / "in" / "p2" / "1", PatientID="P2", SelectorUVValue=[1, MOST])
    write_image(tmp_path / "in" / "p3" / "1", PatientID="P3", Modality="MR", SelectorTMValue="07")
    (tmp_path / "in" / "p3" / "note").write_text("no image")
    build(tmp_path / "w", tmp_path / "in")
    return tmp_path / "w"


def build(warehouse: Path, source: Path) -> None:
    build_lake(Settings((f"{NAME}={source}",), warehouse, batch_files=1))


def export(warehouse: Path, *words: str) -> int:
    folder = str(warehouse.parent / "delta")
    return main(["export", "delta", folder, "--warehouse", str(warehouse), *words])


def lake_of(warehouse: Path, table: str) -> list[dict[str, Any]]:
    """The rows of a table of the lake, times as text."""
    with dicomhouse.open(warehouse) as opened:
        return plain(getattr(opened, table).collect())


def plain(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows in an order of their own, whatever the types of their numbers and times."""

    def text(value: Any) -> Any:
        if isinstance(value, list):
            return [text(one) for one in value]
        if isinstance(value, datetime.time):
            return value.strftime("%H:%M:%S.%f")
        return value if value is None or isinstance(value, float) else str(value)

    told = [{name: text(row[name]) for name in sorted(row)} for row in rows.to_dicts()]
    return sorted(told, key=str)


@pytest.mark.parametrize("table", TABLES)
def test_other_programs_read_the_rows_of_the_lake(warehouse: Path, table: str) -> None:
    assert export(warehouse) == 0
    folder = str(warehouse.parent / "delta" / table)
    by_polars = pl.read_delta(folder)
    rows = lake_of(warehouse, table)
    assert {row["source"] for row in rows} == {NAME}
    if table == "images":
        assert by_polars.schema["StudyTime"] == pl.String
        assert by_polars.schema["SelectorTMValue"] == pl.List(pl.String)
        assert by_polars.schema["SelectorUVValue"] == pl.List(pl.Decimal(20, 0))
        assert "10:11:12.500000" in by_polars["StudyTime"]
        assert [str(MOST)] == [row["SelectorUVValue"][1] for row in rows if row["SelectorUVValue"]]
    assert plain(by_polars) == rows
    by_deltalake = pl.from_arrow(deltalake.DeltaTable(folder).to_pyarrow_table())
    assert isinstance(by_deltalake, pl.DataFrame)
    assert plain(by_deltalake) == rows


def test_next_export_is_a_version_and_the_earlier_one_stays(
    warehouse: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(warehouse)
    before = {table: lake_of(warehouse, table) for table in TABLES}
    (warehouse.parent / "in" / "p1" / "1").unlink()
    write_image(warehouse.parent / "in" / "p9" / "1", PatientID="P9", StudyComments="new")
    build(warehouse, warehouse.parent / "in")
    capsys.readouterr()
    export(warehouse)
    assert "images    version 1: " in capsys.readouterr().out
    for table in TABLES:
        folder = str(warehouse.parent / "delta" / table)
        assert plain(pl.read_delta(folder)) == lake_of(warehouse, table)
        assert plain(pl.read_delta(folder, version=0)) == before[table]
    export(warehouse)
    assert "images    version 1: " in capsys.readouterr().out  # nothing is new
    assert len(list((warehouse.parent / "delta").rglob("_delta_log/*"))) == 6


def test_links_are_no_copies_but_of_images(warehouse: Path) -> None:
    export(warehouse, "--link")
    folder, standing = warehouse.parent / "delta", current(warehouse)
    assert standing is not None
    parts = list(folder.rglob("*.parquet"))
    assert {part.relative_to(folder).parts[0] for part in parts} == set(TABLES)
    for part in parts:
        original = standing.lake / part.relative_to(folder)
        assert part.samefile(original) == (folder / "images" not in part.parents)
    assert not [path for path in folder.rglob("*") if path.stat().st_mode & 0o077]


def test_export_that_was_stopped_is_made_again(
    warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(delta, "_write_new", full)
        assert export(warehouse, "--link") == StorageError.exit_code
    folder = warehouse.parent / "delta"
    assert not list(folder.rglob("*.json"))
    assert export(warehouse, "--link") == 0
    assert plain(pl.read_delta(str(folder / "files"))) == lake_of(warehouse, "files")


def test_log_that_cannot_be_followed_is_told(
    warehouse: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(warehouse)
    first = warehouse.parent / "delta" / "images" / "_delta_log" / f"{0:020}.json"
    for broken in ("{", json.dumps([]), json.dumps({"add": {"size": 1}})):
        first.write_text(broken)
        assert export(warehouse) == StorageError.exit_code
        assert "cannot follow the Delta log" in capsys.readouterr().err
    first.rename(first.with_name(f"{3:020}.json"))
    assert export(warehouse) == StorageError.exit_code


def test_version_of_another_export_is_not_written_over(
    warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = delta._put
    first = warehouse.parent / "delta" / "files" / "_delta_log" / f"{0:020}.json"

    def late(*given: Any) -> None:
        real(*given)
        first.write_text("another's")

    monkeypatch.setattr(delta, "_put", late)
    assert export(warehouse) == StorageError.exit_code
    assert first.read_text() == "another's"
    assert [path.name for path in first.parent.iterdir()] == [first.name]


def test_tables_do_not_lie_within_the_warehouse(warehouse: Path) -> None:
    words = ["export", "delta", str(warehouse / "delta"), "--warehouse", str(warehouse)]
    assert main(words) == UsageError.exit_code
    assert not (warehouse / "delta").exists()
