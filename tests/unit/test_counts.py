"""What images say at each path is counted as parts are written: always what SQL would count."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from counting import counted, grouped
from incremental import build_lake
from places import PYDICOM_DATA
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicomhouse.lake import counts, extract
from dicomhouse.lake.records import records
from dicomhouse.settings import Settings
from dicomhouse.store.generations import current
from dicomhouse.testing import build_cohort, write_enhanced, write_image
from dicomhouse.testing.defects import Defect
from dicomhouse.testing.raw import raw_element


def built(folder: Path, *sources: Path, **named: Any) -> Path:
    """Build the lake of some sources, or build it again; where it is."""
    build_lake(Settings(tuple(map(str, sources)), folder / "w", **named))
    generation = current(folder / "w")
    assert generation is not None
    return generation.lake


def assert_counted(lake: Path) -> None:
    assert counted(lake) == grouped(lake)


def odd_images(root: Path) -> Path:
    """What is rare: lists of items, private blocks that come twice, values of all kinds."""
    codes = [Dataset(), Dataset()]
    codes[0].CodeValue, codes[1].CodeValue = "A", ""
    for number, items in enumerate(([0, 1], [1, 0], [0, 0], [0], [1, 1], [], [0, 1])):
        sequence = Sequence([codes[item] for item in items])
        write_image(root / "codes" / str(number), ProcedureCodeSequence=sequence)
    for number, second in enumerate("AAAB"):
        blocks = [
            DataElement(0x00190010, "LO", "A"), DataElement(0x00190011, "LO", second),
            DataElement(0x00191001, "DS", "1.5"), DataElement(0x00191101, "DS", f"{number}"),
            DataElement(0x00191002, "OB", b"12"), DataElement(0x00191102, "OB", b"34"),
        ]  # fmt: skip
        write_image(root / "blocks" / str(number), *blocks, PatientID=None)
    write_image(root / "other", Modality="../x", SeriesInstanceUID="", KVP=b"much", Rows=None)
    write_image(root / "cut").write_bytes((root / "other").read_bytes()[:-7])
    pixels = raw_element(0x7FE00009, "SQ", b"ab")  # declared as what they cannot be
    image = write_image(root / "measured", PixelData=None)
    image.write_bytes(image.read_bytes() + pixels)
    frames = [{"ImagePositionPatient": ["0", "0", z]} for z in ("0", "2.5", "1e1", "0.1")]
    for number, order in enumerate((frames, frames[::-1], frames)):
        write_enhanced(root / "enhanced" / str(number), order * 3)
    return root


@pytest.mark.parametrize("profile", ["osic", "hospital"])
def test_cohort_is_counted_as_its_elements_show(tmp_path: Path, profile: str) -> None:
    defects = [(defect, number % 9) for number, defect in enumerate(Defect)]
    build_cohort(tmp_path / "s", patients=9, slices=12, profile=profile, defects=defects)
    assert_counted(built(tmp_path, tmp_path / "s"))


def test_real_files_are_counted_as_their_elements_show(tmp_path: Path) -> None:
    assert_counted(built(tmp_path, PYDICOM_DATA))


def test_odd_images_are_counted_as_their_elements_show(tmp_path: Path) -> None:
    lake = built(tmp_path, odd_images(tmp_path / "s"))
    assert_counted(lake)
    told = pl.read_parquet(lake / "_value_counts" / "**" / "*.parquet")
    assert told.filter(pl.col("path") == "ProcedureCodeSequence.CodeValue").select(
        "content", "elements", "has_empty", "images"
    ).rows() == [
        ("A\x1f", 2, True, 2), ("\x1fA", 2, True, 1), ("A\x1fA", 2, False, 1),
        ("A", 1, False, 1), (None, 2, True, 1),
    ]  # fmt: skip
    assert told.filter(pl.col("path") == '(0019,"A",01)').select("content", "images").rows() == [
        ("1.5\x1f0", 1), ("1.5\x1f1", 1), ("1.5\x1f2", 1), ("1.5", 1),
    ]  # fmt: skip


def test_zero_has_one_sign(tmp_path: Path) -> None:
    """Else the least of -0 and 0, which are equal, would be the one that a thread saw first."""
    for number, value in enumerate((0.0, -0.0)):
        write_image(tmp_path / "s" / str(number), DataElement(0x00189306, "FD", value))
    lake = built(tmp_path, tmp_path / "s")
    told = pl.read_parquet(lake / "_value_counts" / "**" / "*.parquet")
    numbers = told.filter(pl.col("tag") == "00189306")["number_min"]
    assert numbers.to_list() == [0, 0]
    assert not np.signbit(numbers.to_numpy()).any()


def test_pieces_of_a_part_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "_MOST_ROWS", 700)
    build_cohort(tmp_path / "s", patients=2, slices=8, profile="hospital")
    assert_counted(built(tmp_path, tmp_path / "s", odd_images(tmp_path / "odd")))


@pytest.mark.parametrize("rows_at_once", [1, 400, counts._ROWS_AT_ONCE])
def test_parts_that_are_written_anew_are_counted_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    monkeypatch.setattr(counts, "_ROWS_AT_ONCE", rows_at_once)
    source = tmp_path / "s"
    build_cohort(source / "cohort", patients=2, slices=8, profile="hospital")
    odd_images(source / "odd")
    built(tmp_path, source, batch_files=8)
    for path in (*source.glob("odd/codes/[05]"), *source.glob("cohort/*/*/3.dcm")):
        path.unlink()
    lake = built(tmp_path, source, batch_files=40)
    generation = current(tmp_path / "w")
    assert generation is not None
    assert any(record.rewritten for record in records(generation.parts))
    assert_counted(lake)
    clean = built(tmp_path / "clean", source)
    assert counted(lake) == counted(clean)


def test_merged_part_has_one_row_where_its_inputs_had_one_each(tmp_path: Path) -> None:
    for number in range(6):
        write_image(tmp_path / "s" / str(number), InstanceNumber=number)
        lake = built(tmp_path, tmp_path / "s")
    told = pl.read_parquet(lake / "_value_counts" / "**" / "*.parquet")
    parts = list(lake.glob("files/*/part-*.parquet"))
    assert len(parts) < 3
    assert 1 <= told.filter(pl.col("path") == "PatientID").height <= len(parts)


def test_lists_are_told_apart_by_all_of_their_elements() -> None:
    lists = [[0, 1], [1, 0], [0, 1, 1], [0], [0, 1], [1, 1], [0, 1, 1]]
    codes = np.array([code for one in lists for code in one], dtype=np.int32)
    starts = np.cumsum([0, *map(len, lists[:-1])])
    follows = np.setdiff1d(np.arange(len(codes)), starts)
    found = counts._Lists.of(codes, follows)
    several = [tuple(one) for one in lists if len(one) > 1]
    assert len(found) == len(set(several))
    ends = [*found.starts.tolist(), len(found.codes)]
    told = [tuple(found.codes[start:end].tolist()) for start, end in pairwise(ends)]
    assert [told[number] for number in found.of_each] == several
