"""What differs between two files or instances, and what varies within a series."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from building import build_tables
from commands import call_cli
from places import PYDICOM_DATA
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dicomhouse.diff import file_elements
from dicomhouse.errors import UsageError
from dicomhouse.settings import Settings
from dicomhouse.testing import dataset_bytes, write_image

OWN_UIDS = ["--ignore", "SOPInstanceUID", "--ignore", "MediaStorageSOPInstanceUID"]


def rows(*words: str) -> list[dict[str, Any]]:
    done = call_cli("diff", *words, "--format", "json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def differing(a: Path, b: Path, *words: str) -> dict[str, tuple[str, Any, Any]]:
    return {
        f"{row['path']}[{row['item']}]": (row["difference"], row["a"], row["b"])
        for row in rows(str(a), str(b), *words)
    }


def code(*values: str) -> list[Dataset]:
    items = []
    for value in values:
        item = Dataset()
        item.CodeValue = value
        items.append(item)
    return items


def test_equal_files_differ_in_nothing(tmp_path: Path) -> None:
    a = write_image(tmp_path / "a.dcm")
    done = call_cli("diff", str(a), str(write_image(tmp_path / "b.dcm")))
    assert (done.returncode, done.stdout) == (0, "no difference\n")


def test_neighbouring_slices_differ_in_place_and_number_alone(tmp_path: Path) -> None:
    a = write_image(tmp_path / "a.dcm", InstanceNumber=1, SliceLocation="1")
    b = write_image(tmp_path / "b.dcm", InstanceNumber=2, SliceLocation="2")
    assert differing(a, b, *OWN_UIDS) == {
        "ImagePositionPatient[]": ("value", r"-7.5\-7.5\1", r"-7.5\-7.5\2"),
        "InstanceNumber[]": ("value", "1", "2"),
        "SliceLocation[]": ("value", "1", "2"),
    }


def test_numbers_are_numbers_and_absent_empty_and_zero_are_three_things(tmp_path: Path) -> None:
    a = write_image(
        tmp_path / "a.dcm", PixelSpacing=["1.0", "0.50"], KVP="120", StudyID="A ", PatientAge=None,
        TableHeight="", RescaleSlope="1",
    )  # fmt: skip
    b = write_image(
        tmp_path / "b.dcm", PixelSpacing=["1", ".5"], KVP="120.01", StudyID="A", PatientAge="",
        TableHeight="0", RescaleSlope="1E0",
    )  # fmt: skip
    assert differing(a, b) == {
        "KVP[]": ("value", "120", "120.01"),
        "PatientAge[]": ("only in b", None, "(empty)"),
        "TableHeight[]": ("value", "(empty)", "0"),
    }


def test_nested_elements_are_told_by_path_and_item(tmp_path: Path) -> None:
    a = write_image(tmp_path / "a.dcm", ProcedureCodeSequence=code("1", "2"))
    b = write_image(tmp_path / "b.dcm", ProcedureCodeSequence=code("1", "3", "4"))
    found = {
        "ProcedureCodeSequence[]": ("value", "2 item(s)", "3 item(s)"),
        "ProcedureCodeSequence.CodeValue[1]": ("value", "2", "3"),
        "ProcedureCodeSequence.CodeValue[2]": ("only in b", None, "4"),
    }
    assert differing(a, b) == found
    assert differing(a, b, "--ignore", "CodeValue").keys() == {"ProcedureCodeSequence[]"}
    assert differing(a, b, "--ignore", "0032,1064") == found
    assert differing(a, b, "--ignore", "Procedure Code Sequence") == {}


def test_private_elements_are_told_by_creator_not_by_block(tmp_path: Path) -> None:
    def private(block: int, value: str) -> list[DataElement]:
        creator = DataElement((0x0019, block), "LO", "ACME")
        return [creator, DataElement((0x0019, block << 8 | 1), "LO", value)]

    a = write_image(tmp_path / "a.dcm", *private(0x10, "one"))
    b = write_image(tmp_path / "b.dcm", *private(0x11, "one"))
    c = write_image(tmp_path / "c.dcm", *private(0x11, "two"))
    assert differing(a, b) == {}
    assert differing(a, c) == {'(0019,"ACME",01)[]': ("value", "one", "two")}


def test_pixels_of_one_length_are_told_apart(tmp_path: Path) -> None:
    a = write_image(tmp_path / "a.dcm", PixelData=bytes(512))
    b = write_image(tmp_path / "b.dcm", PixelData=bytes(511) + b"\1")
    (row,) = rows(str(a), str(b))
    assert (row["path"], row["difference"]) == ("PixelData", "value")
    assert row["a"].startswith("512 bytes, digest ")


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "JPEG2000.dcm", "image_dfl.dcm", "ExplVR_BigEnd.dcm"]
)
def test_real_files_equal_themselves_with_a_digest_of_their_pixels(name: str) -> None:
    from dicomhouse.diff import difference, file_elements

    elements = file_elements(PYDICOM_DATA / "test_files" / name)
    assert difference(elements, elements).num_rows == 0
    pixels = [row for row in elements.to_pylist() if row["path"] == "PixelData"]
    assert [len(row["digest"]) for row in pixels] == [32]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("diff")
    for number in (1, 2, 3):
        write_image(
            folder / "in" / f"{number}.dcm", InstanceNumber=number, SOPInstanceUID=f"1.2.{number}",
            StudyInstanceUID="1.3", SeriesInstanceUID="1.4", StudyDescription="a\x1b[31mb",
            PatientComments="only here" if number == 1 else None,
        )  # fmt: skip
    write_image(folder / "in" / "again.dcm", SOPInstanceUID="1.2.3", SeriesInstanceUID="1.5")
    write_image(folder / "also" / "1.dcm", SeriesInstanceUID="1.4", SOPInstanceUID="1.2.9")
    sources = (str(folder / "in"), str(folder / "also"))
    build_tables(Settings(sources, folder / "warehouse"), ["sources", "series", "image_tags"])
    return folder / "warehouse"


def test_instances_of_the_warehouse_and_files_compare_alike(warehouse: Path) -> None:
    at = ["--warehouse", str(warehouse), *OWN_UIDS, "--ignore", "PatientComments"]
    found = rows("1.2.1", "1.2.2", *at)
    assert [row["path"] for row in found] == ["ImagePositionPatient", "InstanceNumber"]
    file = warehouse.parent / "in" / "2.dcm"
    assert [row["path"] for row in rows("1.2.1", str(file), *at, "--ignore", "PixelData")] == [
        "ImagePositionPatient", "InstanceNumber",
    ]  # fmt: skip


def test_series_shows_what_varies_and_what_some_images_lack(warehouse: Path) -> None:
    done = call_cli("diff", "--series", "1.4", "--warehouse", str(warehouse))
    assert done.returncode == 2
    assert "several sources" in done.stderr
    key = done.stderr.partition(" (in)")[0].rpartition(" ")[2]
    found = rows("--series", key, "--warehouse", str(warehouse), "--ignore", "SOPInstanceUID")
    assert [(row["path"], row["state"], row["absent"]) for row in found] == [
        ("ImagePositionPatient", "varies", 0),
        ("InstanceNumber", "varies", 0),
        ("PatientComments", "constant_where_present", 2),
    ]
    assert (found[1]["number_min"], found[1]["number_max"], found[1]["step"]) == (1, 3, 1)


def test_errors_say_what_is_wrong(warehouse: Path, tmp_path: Path) -> None:
    at = ["--warehouse", str(warehouse)]
    text = tmp_path / "note.txt"
    text.write_text("no image")
    for words, message in {
        ("1.2.3", "1.2.1"): "2 files of the warehouse have the SOPInstanceUID",
        ("1.9", "1.2.1"): "neither a file nor a SOPInstanceUID",
        (str(text), "1.2.1"): "is not a DICOM file",
        (str(tmp_path), str(tmp_path)): "is a folder, and diff compares files",
        ("1.2.1",): "give two files",
        ("--series", "1.9"): "no series 1.9",
        ("1.2.1", "1.2.2", "--series", "1.4"): "either two files",
        ("1.2.1", "1.2.2", "--ignore", "NoKeyword"): "not a DICOM tag",
    }.items():
        done = call_cli("diff", *words, *at)
        assert (done.returncode, message in done.stderr) == (2, True), (words, done.stderr)
    nowhere = call_cli("diff", "1.2.1", "1.2.2", "--warehouse", str(tmp_path / "none"))
    assert (nowhere.returncode, "there is no file 1.2.1" in nowhere.stderr) == (2, True)


def test_terminal_never_obeys_a_value(warehouse: Path, tmp_path: Path) -> None:
    plain = write_image(tmp_path / "a.dcm", StudyDescription="b")
    done = call_cli("diff", "1.2.1", str(plain), "--warehouse", str(warehouse))
    assert r"a\x1b[31mb" in done.stdout
    assert "\x1b" not in done.stdout


def test_pixels_without_end_are_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = dataset_bytes()
    at = content.rindex(b"OW\0\0") + 4
    (tmp_path / "1").write_bytes(content[:at] + b"\xf0\xff\xff\xff" + content[at + 4 :])
    os.truncate(tmp_path / "1", 1 << 40)
    monkeypatch.setenv("DICOMHOUSE_BUDGET", "pixel_seconds=1")
    with pytest.raises(UsageError, match="not read within 1 s"):
        file_elements(tmp_path / "1")
