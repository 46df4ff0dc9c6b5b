"""The lake's contract: columns, types, partitions and keys, as plain Parquet shows them."""

from __future__ import annotations

import json
from datetime import date, time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from headers import encode
from lakes import only, rows, write
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicomhouse.lake.layout import partition_value
from dicomhouse.lake.parts import write_columns_parts
from dicomhouse.lake.schema import CORE, ELEMENTS, FILES, IMAGE_LINEAGE


def test_tables_have_the_columns_and_plain_types_of_the_contract(tmp_path: Path) -> None:
    write(tmp_path, {"p/1": encode(Modality="CT", PatientID="P")})
    for table, schema in (("files", FILES), ("elements", ELEMENTS)):
        (part,) = (tmp_path / table).rglob("*.parquet")
        read = pq.read_schema(part)
        assert read.names == schema.names
        assert [f.type for f in read] == [f.type for f in schema]
    (part,) = (tmp_path / "images").rglob("*.parquet")
    read = pq.read_schema(part)
    assert read.names[: len(IMAGE_LINEAGE)] == IMAGE_LINEAGE.names
    assert "Modality" not in read.names
    assert not [f for f in read if pa.types.is_dictionary(f.type)]


def test_only_what_is_each_files_own_is_written_without_a_dictionary(tmp_path: Path) -> None:
    write(tmp_path, {"1": encode(ImageType=["ORIGINAL", "PRIMARY"], KVP="1")})
    plain = {}
    for part in tmp_path.rglob("*.parquet"):
        group = pq.read_metadata(part).row_group(0)
        columns = [group.column(number) for number in range(group.num_columns)]
        plain[part.relative_to(tmp_path).parts[0]] = {
            column.path_in_schema
            for column in columns
            if "RLE_DICTIONARY" not in column.encodings and column.physical_type != "BOOLEAN"
        }
    own = {"file_id", "path", "modified_at", "SOPInstanceUID"}
    assert plain == {
        "files": own, "images": own | {"MediaStorageSOPInstanceUID"},
        "elements": set(), "_value_counts": {"content"},
    }  # fmt: skip


def test_partitions_are_source_and_modality(tmp_path: Path) -> None:
    write(tmp_path, {
        "1": encode(Modality="CT"), "2": encode(Modality="../x"), "3": encode(), "4": b"text",
    })  # fmt: skip
    folders = {str(p.parent.relative_to(tmp_path)) for p in tmp_path.rglob("*.parquet")}
    null = "Modality=__HIVE_DEFAULT_PARTITION__"
    tables = ("images", "elements", "_value_counts")
    assert folders == {"files/source=s"} | {
        f"{table}/source=s/{modality}" for table in tables for modality in ("Modality=CT", null)
    }
    assert partition_value("a/b") is None
    assert len(rows(tmp_path, "files")) == 4
    assert len(rows(tmp_path, "images")) == 3


def test_every_file_is_one_row_with_its_status(tmp_path: Path) -> None:
    files = {"a": b"", "b/c.dcm": b"hello there", "d": encode(), "e": encode()[:-3]}
    write(tmp_path, files)
    found = {row["path"]: row["status"] for row in rows(tmp_path, "files")}
    assert found == {"a": "empty", "b/c.dcm": "not_dicom", "d": "ok", "e": "truncated"}
    nested = only(tmp_path, "files", path="b/c.dcm")
    assert (nested["folder"], nested["patient_folder"], nested["image_name"]) == ("b", "b", "c.dcm")


@pytest.mark.parametrize(
    ("keyword", "value", "expected"),
    [
        ("SliceThickness", "1.25", 1.25),
        ("InstanceNumber", "7", 7),
        ("StudyDate", "19930822", date(1993, 8, 22)),
        ("StudyTime", "1127", time(11, 27)),
        ("PixelSpacing", ["0.5", "0.25"], [0.5, 0.25]),
        ("ImageType", ["ORIGINAL", "PRIMARY"], ["ORIGINAL", "PRIMARY"]),
        ("ImageType", "ORIGINAL", ["ORIGINAL"]),
        ("PatientName", "A^B", "A^B"),
        ("StudyID", "", None),
        ("FrameIncrementPointer", [0x00181063], ["00181063"]),
        ("SmallestImagePixelValue", 5, 5),
    ],
)
def test_image_column_has_the_type_of_the_dictionary(
    tmp_path: Path, keyword: str, value: Any, expected: Any
) -> None:
    write(tmp_path, {"1": encode(PixelRepresentation=0, **{keyword: value})})
    assert only(tmp_path, "images", path="1")[keyword] == expected


def test_sequence_column_is_dicom_json_without_bulk(tmp_path: Path) -> None:
    step, empty, inner = Dataset(), Dataset(), Dataset()
    inner.CodeValue = "C"
    step.ScheduledProcedureStepID = "S"
    step.ScheduledProtocolCodeSequence = Sequence([Dataset(), inner])
    step.add_new(0x00420011, "OB", b"bulk")
    write(tmp_path, {"1": encode(RequestAttributesSequence=Sequence([empty, step]))})
    text = only(tmp_path, "images", path="1")["RequestAttributesSequence"]
    assert json.loads(text) == [
        {},
        {
            "00400008": {"vr": "SQ", "Value": [{}, {"00080100": {"vr": "SH", "Value": ["C"]}}]},
            "00400009": {"vr": "SH", "Value": ["S"]},
        },
    ]


def test_column_holds_nothing_but_values_of_its_type(tmp_path: Path) -> None:
    whole = encode(InstanceNumber="12", SeriesNumber="1")
    number = whole.index(b"\x20\x00\x13\x00IS")
    odd = whole.replace(b"IS\x02\x0012", b"IS\x04\x001_2 ")
    odd = odd[:number] + b"\x08\x00\x40\x11LO\x04\x00text" + odd[number:]
    write(tmp_path, {"1": odd})
    row = only(tmp_path, "images", path="1")
    assert row["InstanceNumber"] is None  # Python would take 1_2 for 12
    assert row["ReferencedImageSequence"] is None  # text where a sequence belongs


def test_patient_is_the_id_and_else_the_folder(tmp_path: Path) -> None:
    write(tmp_path, {
        "a/1": encode(PatientID="P"), "b/1": encode(PatientID="P"),
        "a/2": encode(PatientID="P", IssuerOfPatientID="X"),
        "c/1": encode(PatientID=""), "c/d/2": encode(), "e/1": encode(),
    })  # fmt: skip
    key = {row["path"]: row["patient_key"] for row in rows(tmp_path, "images")}
    assert key["a/1"] == key["b/1"] != key["a/2"]
    assert key["c/1"] == key["c/d/2"] != key["e/1"]


def test_expected_pixel_bytes_follow_the_attributes(tmp_path: Path) -> None:
    common: dict[str, Any] = {"Rows": 3, "Columns": 5, "BitsAllocated": 16, "SamplesPerPixel": 1}
    colour = {**common, "SamplesPerPixel": 3, "BitsAllocated": 8}
    write(tmp_path, {
        "grey": encode(**common, PixelData=b"\0" * 30),
        "bits": encode(**{**common, "BitsAllocated": 1}),
        "ybr": encode(**colour, PhotometricInterpretation="YBR_FULL_422"),
        "jpeg": encode("1.2.840.10008.1.2.4.50", **common),
        "odd": encode(Rows=3),
    })  # fmt: skip
    found = {row["path"]: row["expected_pixel_bytes"] for row in rows(tmp_path, "images")}
    assert found == {"grey": 30, "bits": 2, "ybr": 30, "jpeg": None, "odd": None}


def test_no_warning_quotes_what_is_no_transfer_syntax(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    data = encode(Rows=3).replace(b"1.2.840.10008.1.2.1\0", b"1.02.DOE^JANE.......")
    write(tmp_path, {"1": data})
    assert only(tmp_path, "files", path="1")["status"] == "ok"
    assert [str(warning.message) for warning in recwarn] == []


def test_columns_part_is_empty_and_holds_every_column(tmp_path: Path) -> None:
    seen = write(tmp_path, {"1": encode(Modality="CT", FocalSpots="1")}).image_columns
    write_columns_parts(tmp_path, ["s"], seen - set(IMAGE_LINEAGE.names))
    (part,) = (tmp_path / "images").rglob("0-columns.parquet")
    table = pq.ParquetFile(part).read()
    assert table.num_rows == 0
    assert {*CORE, "FocalSpots"} <= set(table.column_names)
    assert part.parent == next((tmp_path / "images").rglob("part-1.parquet")).parent


def test_order_and_batches_change_no_row(tmp_path: Path) -> None:
    files = {f"p{i % 3}/{i}": encode(PatientID=f"P{i % 3}", InstanceNumber=i) for i in range(9)}
    write(tmp_path / "one", files)
    paths = list(files)
    for n, chosen in enumerate((paths[::-2], [p for p in paths if p not in paths[::-2]])):
        write(tmp_path / "two", {path: files[path] for path in chosen}, f"part-{n}")
    for table in ("files", "elements", "images"):
        one, two = (
            sorted(json.dumps(row, default=str) for row in rows(tmp_path / lake, table))
            for lake in ("one", "two")
        )
        assert one == two
