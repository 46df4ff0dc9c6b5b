"""Odd names, odd texts and odd private blocks, all the way to the models."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

import dicomhouse
from dicomhouse.pipeline import build_direct
from dicomhouse.settings import Settings
from dicomhouse.testing import write_image


def waveform(data: bytes) -> Dataset:
    item = Dataset()
    item.add_new(0x54001010, "OB", data)
    return item


def test_odd_names_texts_and_blocks_are_data(tmp_path: Path) -> None:
    odd = "O'Brien\"; drop table x; --"
    source = tmp_path / "in" / "a'b \"c=d %20 [x]"
    for number in range(3):
        private = [
            DataElement(0x0019100C, "LO", "no creator"),
            DataElement(0x0019110C, "LO", f"none either {number}"),
            DataElement(0x00210010, "LO", "ACME"),
            DataElement(0x00210011, "LO", "ACME"),
            DataElement(0x0021100A, "LO", "same"),
            DataElement(0x0021110A, "LO", f"other {number}"),
            DataElement(0x0021110B, "LO", "same"),
        ]
        write_image(
            source / "p;\n'" / f"{number}",
            *private,
            PatientID=odd,
            InstanceNumber=number,
            Modality="A'/..",
            WaveformSequence=[waveform(b"aa"), waveform(b"bb")],
        )
    folder = tmp_path / "a 'warehouse' [1]*"
    build_direct(Settings((str(source),), folder, jobs=1), lambda line: None)
    with dicomhouse.open(folder) as opened:
        assert opened.sql("select * from patients")["patient_ids"].to_list() == [[odd]]
        assert opened.images.select("source").unique().collect().item() == source.name
        assert opened.elements.filter(pl.col("path") == "PatientID").collect().height == 3
        levels = opened.sql("from tag_levels where path like '(%' order by path")
        assert levels.select("path", "level").rows() == [
            ("(0019,?,0C)", "item"),
            ('(0021,"ACME",0A)', "item"),
            ('(0021,"ACME",0B)', "source"),
        ]
        bulk = opened.sql("from tag_levels where path = 'WaveformSequence.WaveformData'")
        assert bulk["level"].item() == "item"
        tags = opened.sql("from patient_tags where path like '(%' order by path")
        assert tags.select("present", "absent", "distinct_values").rows() == [
            (3, 0, 3), (3, 0, 3), (3, 0, 1)
        ]  # fmt: skip
    moved = tmp_path / "moved [2]"
    folder.rename(moved)
    with dicomhouse.open(moved) as opened:
        assert opened.sql("select count(*) from elements where path = 'PatientID'").item() == 3
