"""`dicomhouse tag`: every form of a tag, the standard's pages, and this warehouse's values."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from commands import call_cli
from places import PYDICOM_DATA
from pydicom.dataelem import DataElement

from dicomhouse.errors import UsageError
from dicomhouse.reader import Warehouse
from dicomhouse.run.build import build_direct
from dicomhouse.settings import Settings
from dicomhouse.tag_card import lines, tag_card
from dicomhouse.testing import write_image

ESCAPE = "\x1b[31mred"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse of three slices with a private block, and a real image with an overlay."""
    folder = tmp_path_factory.mktemp("tag")
    for number, exposure in ((1, "100"), (2, "100"), (3, None)):
        write_image(
            folder / "made" / f"{number}.dcm",
            DataElement(0x00190010, "LO", "SIEMENS MR HEADER"),
            DataElement(0x0019100C, "IS", str(number)),
            InstanceNumber=number, Exposure=exposure, StudyDescription=ESCAPE,
        )  # fmt: skip
    (folder / "real").mkdir()
    overlay = PYDICOM_DATA / "test_files" / "examples_overlay.dcm"
    (folder / "real" / "overlay.dcm").symlink_to(overlay)
    sources = (str(folder / "made"), str(folder / "real"))
    build_direct(Settings(sources, folder / "w"), lambda line: None)
    return folder / "w"


@pytest.fixture(scope="module")
def warehouse(folder: Path) -> Iterator[Warehouse]:
    with Warehouse(folder) as opened:
        yield opened


def card(text: str, warehouse: Warehouse | None = None, *iods: str) -> dict[str, Any]:
    return tag_card(text, iods, warehouse and warehouse.connection)


@pytest.mark.parametrize(
    "text",
    [
        "SeriesNumber", "seriesnumber", "Series Number", "series number", "0020,0011",
        "(0020,0011)", "00200011", "0x00200011", "2097169", "0x20,0x11", "(0x0020, 0x0011)",
    ],
)  # fmt: skip
def test_every_form_gives_the_same_card(text: str) -> None:
    assert card(text) == card("SeriesNumber")


def test_ct_series_number_is_told_with_its_pages() -> None:
    found = card("SeriesNumber", None, "ct-image")
    assert found["dictionary"] == [{
        "path": "SeriesNumber", "tag": "00200011", "private_creator": None,
        "keyword": "SeriesNumber", "name": "Series Number", "vr": "IS", "vm": "1",
        "is_retired": False,
    }]  # fmt: skip
    top = [row for row in found["modules"] if row["path"] == "SeriesNumber"]
    assert top == [{
        "module": "general-series", "usage": "M", "information_entity": "Series",
        "attribute_type": "2", "path": "SeriesNumber", "iods": ["ct-image"],
        "link_standard": "https://dicom.nema.org/medical/dicom/current/output/chtml/part03/"
        "sect_C.7.3.html#table_C.7-5a",
        "link_innolitics": "https://dicom.innolitics.com/ciods/ct-image/general-series/00200011",
    }]  # fmt: skip
    assert found["profile"] is None


def test_pages_of_the_warehouses_own_iods_come_first(warehouse: Warehouse) -> None:
    assert card("EchoTime", warehouse)["modules"][0]["iods"][0] == "mr-image"
    assert card("RescaleSlope", warehouse)["modules"][0]["iods"][0] == "ct-image"


def test_profile_counts_and_draws_the_commonest_values(warehouse: Warehouse) -> None:
    found = card("Exposure", warehouse)
    (row,) = [row for row in found["profile"] if row["source"] == "made"]
    assert (row["images"], row["present"], row["absent"]) == (3, 2, 1)
    assert row["commonest"] == [{"value": "100", "images": 2}]
    text = list(lines(found))
    assert f"  made: Exposure, {row['verdict']}" in text
    assert "    present in 2 of 3 images (1 absent); 1 value" in text
    assert f"    100  {'█' * 30} 2" in text


@pytest.mark.parametrize(
    "text",
    [
        '(0019,"SIEMENS MR HEADER",0C)', "0019,xx0C,SIEMENS MR HEADER",
        "(0019,xx0c,SIEMENS MR HEADER)", '0019,100C,"SIEMENS MR HEADER"',
        "(0019,SIEMENS MR HEADER,0C)", "0019[SIEMENS MR HEADER]0c",
    ],
)  # fmt: skip
def test_private_tag_has_its_creators_name_and_this_warehouses_values(
    warehouse: Warehouse, text: str
) -> None:
    found = card(text, warehouse)
    assert found["tag"] == '(0019,"SIEMENS MR HEADER",0C)'
    (entry,) = found["dictionary"]
    assert (entry["name"], entry["vr"]) == ("B_value", "IS")
    assert found["modules"] == []
    (row,) = found["profile"]
    assert (row["source"], row["present"], row["number_max"]) == ("made", 3, 3)


def test_private_number_names_every_creator_that_has_it(warehouse: Warehouse) -> None:
    found = card("0019,100C", warehouse)
    creators = [entry["private_creator"] for entry in found["dictionary"]]
    assert "SIEMENS MR HEADER" in creators
    assert len(creators) > 5
    assert [row["path"] for row in found["profile"]] == ['(0019,"SIEMENS MR HEADER",0C)']


def test_repeating_group_is_one_attribute(warehouse: Warehouse) -> None:
    for text in ("OverlayRows", "6000,0010", "60020010", "60xx0010", "(60XX,0010)"):
        found = card(text, warehouse)
        assert found["dictionary"][0]["tag"] == "60xx0010"
        assert {row["module"] for row in found["modules"]} == {"overlay-plane"}
        assert [row["path"] for row in found["profile"]] == ["60000010"]


def test_private_paths_of_the_lake_have_names(warehouse: Warehouse) -> None:
    found = warehouse.sql("""
        select t.name, t.vr from tag_profile p join dicom_tags t using (path)
        where p.source = 'made' and path = '(0019,"SIEMENS MR HEADER",0C)'
    """).rows()  # fmt: skip
    assert found == [("B_value", "IS")]


def test_control_characters_of_a_file_are_neutralised(folder: Path) -> None:
    done = call_cli("tag", "StudyDescription", "--warehouse", str(folder))
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert r"\x1b[31mred" in done.stdout


def test_other_formats_hold_the_whole_card(folder: Path, warehouse: Warehouse) -> None:
    expected = card("KVP", warehouse)
    at = ["tag", "KVP", "--warehouse", str(folder), "--format"]
    assert json.loads(call_cli(*at, "json").stdout) == expected
    (names, row) = csv.reader(io.StringIO(call_cli(*at, "csv").stdout))
    assert dict(zip(names, row, strict=True))["tag"] == "00180060"
    done = subprocess.run(
        [sys.executable, "-m", "dicomhouse", *at, "parquet"], capture_output=True, check=True
    )
    assert pq.read_table(io.BytesIO(done.stdout)).to_pylist() == [expected]


def test_unknown_tag_is_wrong_usage_with_the_nearest_keywords() -> None:
    done = call_cli("tag", "SeriesNubmer")
    assert done.returncode == 2
    assert "nearest keywords are SeriesNumber" in done.stderr
    with pytest.raises(UsageError, match=r'nearest private tags are \(0019,"SIEMENS MR HEADER",0C'):
        card('(0019,"SIEMENS MR HEADR",0C)')
    with pytest.raises(UsageError, match=r"known here\.$"):
        card('(0019,"no such creator",0C)')
    with pytest.raises(UsageError):
        card("")
    with pytest.raises(UsageError, match="nearest are ct-image"):
        card("KVP", None, "CT Image")


def test_without_a_warehouse_the_standard_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call_cli("tag", "KVP")
    assert done.returncode == 0
    assert "https://dicom.innolitics.com/ciods/ct-image/ct-image/00180060" in done.stdout
    assert "no warehouse in warehouse" in done.stderr
    assert call_cli("tag", "KVP", "--warehouse", str(tmp_path)).returncode == 3


@pytest.mark.parametrize("text", ["0009,0001", '(0019,"NOBODY",0C)', "(0019,?,0C)", "1234,5678"])
def test_number_that_nobody_knows_is_wrong_usage(warehouse: Warehouse, text: str) -> None:
    for opened in (None, warehouse):
        with pytest.raises(UsageError, match="in no dictionary that is known here"):
            card(text, opened)


def test_unknown_number_is_answered_with_its_neighbours() -> None:
    with pytest.raises(UsageError, match=r"\(0010,0011\) .* keywords are PatientName, PatientID"):
        card("0010,0011")


def test_known_tag_that_no_image_has_is_told(warehouse: Warehouse) -> None:
    assert "in no image of this warehouse" in list(
        lines(card("PatientSpeciesDescription", warehouse))
    )


@pytest.mark.parametrize(
    "text", ["TransferSyntaxUID", "0008,0000", "0019,0010", '(0019,"SIEMENS MR HEADER")']
)
def test_structural_tag_is_no_data_of_an_image(warehouse: Warehouse, text: str) -> None:
    found = card(text, warehouse)
    assert found["is_structural"]
    assert [row["keyword"] for row in found["dictionary"]] in ([], ["TransferSyntaxUID"])
    assert "profiles leave such elements out, the table elements has them" in list(lines(found))


def test_entry_of_its_own_counts_before_that_of_a_repeating_group() -> None:
    assert [row["keyword"] for row in card("7FE0,0010")["dictionary"]] == ["PixelData"]
