"""What the tables say of each patient, study and series, against the images of real files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydicom.uid import UID

import dicomhouse
from dicomhouse.lake.schema import CORE
from dicomhouse.reader import Warehouse


@pytest.fixture(scope="module")
def warehouse(demo: Path) -> Iterator[Warehouse]:
    with dicomhouse.open(demo) as opened:
        yield opened


def commonest(values: list[Any]) -> Any:
    counts = Counter(str(value) for value in values if value is not None)
    by_text = {str(value): value for value in values}
    return min(
        (by_text[text] for text in counts if counts[text] == max(counts.values())), default=None
    )


@pytest.mark.parametrize(
    ("table", "key"),
    [("patients", "patient_key"), ("studies", "study_key"), ("series", "series_key")],
)
def test_attributes_are_what_most_images_say(warehouse: Warehouse, table: str, key: str) -> None:
    entities, images = warehouse.sql(f"from {table}"), warehouse.sql("from images")
    shared = [name for name in entities.columns if name in images.columns and name != "folder"]
    attributes = [name for name in shared if name not in ("source", key, "size_bytes")]
    assert len(attributes) >= 4
    told = {(row["source"], row[key]): row for row in entities.to_dicts()}
    groups = images.group_by("source", key).agg(pl.col(attributes))
    assert len(groups) == len(told) > 10
    differing = 0
    for row in groups.to_dicts():
        for name in attributes:
            expected = commonest(row[name])
            assert told[row["source"], row[key]][name] == expected, (row[key], name)
            differing += len(set(map(str, row[name]))) > 1
    assert differing > 0


def test_core_is_there_whatever_the_files_hold(warehouse: Warehouse) -> None:
    assert set(CORE) <= set(warehouse.columns("images")["name"])
    held = warehouse.sql("select count(SpiralPitchFactor), count(DecayCorrection) from images")
    assert held.rows() == [(0, 0)]


def test_names_of_uids_are_those_of_the_standard(warehouse: Warehouse) -> None:
    told = dict(warehouse.sql("select uid, name from uids").rows())
    assert told["1.2.840.10008.5.1.4.1.1.2"] == "CT Image Storage"
    found = warehouse.sql(
        "select SOPClassUID, sop_class_name, TransferSyntaxUID, transfer_syntax_name from series"
    ).rows()
    names = {name for row in found for name in (row[1], row[3]) if name}
    assert {"CT Image Storage", "RT Dose Storage", "Implicit VR Little Endian"} <= names
    for sop_class, class_name, syntax, syntax_name in found:
        assert class_name == (None if sop_class is None else UID(sop_class).name)
        assert syntax_name == (None if syntax is None else UID(syntax).name)


def test_age_is_the_one_that_the_file_states(warehouse: Warehouse) -> None:
    found = warehouse.sql(
        "select PatientAge, age_years, age_from from images where age_years is not null"
    ).rows()
    assert len(found) > 50
    for stated, years, origin in found:
        assert origin == "PatientAge"
        assert years == float(stated[:3]) and stated.endswith("Y")
