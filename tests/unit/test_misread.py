"""Nothing of a file is lost or misread in silence: what stands at odd places, what declares itself
wrongly, what ends too early. Every file goes through both readers, which have to agree."""

from __future__ import annotations

import csv
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import fuzz
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lakes import only, rows, write
from pydicom.dataelem import DataElement
from pydicom.tag import Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
)
from walking import SLOW, assert_equal, by_reference, made_up

from dicomhouse.dicom.elements import Element, FileHeader
from dicomhouse.dicom.problems import PROBLEM_CLASS, class_of, joined
from dicomhouse.dicom.reference import problems_of_place
from dicomhouse.resources import resource
from dicomhouse.testing import dataset_bytes
from dicomhouse.testing.raw import (
    ITEM_END,
    SEQUENCE_END,
    data_set_at,
    part10,
    raw_element,
    raw_item,
    split,
    with_element,
)

Read = tuple[FileHeader, list[tuple[Element, str]]]

UID = raw_element(0x00080018, "UI", b"1.2.3\0")
MINIMAL = raw_element(0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.2\0") + UID


def read(data: bytes) -> Read:
    """By both readers, the fast one three times and with a small buffer too."""
    assert_equal([data, data, data])
    assert_equal([data], 150)
    return by_reference(data)


def found(data: bytes, path: str, item: str = "") -> list[Element]:
    return [e for e, where in read(data)[1] if e.path == path and where == item]


def problems(data: bytes) -> dict[str, str]:
    """By path, of the elements that have some."""
    return {e.path: e.problem for e, _ in read(data)[1] if e.problem}


def text(value: str | bytes) -> bytes:
    raw = value if isinstance(value, bytes) else value.encode()
    return raw + b" " * (len(raw) % 2)


# Ends of pixel data

FRAGMENT = b"\xfe\xff\x00\xe0\x08\0\0\0\xff\xd8\1\2\3\4\xff\xd9"
OFFSETS = b"\xfe\xff\x00\xe0\0\0\0\0"


def encapsulated(*items: bytes, syntax: str = JPEGLosslessSV1) -> bytes:
    whole = dataset_bytes(PixelData=None, TransferSyntaxUID=syntax)
    return whole + raw_element(0x7FE00010, "OB", b"".join(items), undefined=True)


@pytest.mark.parametrize("fragments", [1, 3])
@pytest.mark.parametrize(
    ("tail", "problem", "reason"),
    [
        (SEQUENCE_END, None, None),
        (SEQUENCE_END + bytes(512), None, None),
        (SEQUENCE_END[:4] + b"\xff\xff\xff\xff", None, None),
        (SEQUENCE_END + b"xyz", None, "bytes_follow"),
        (b"", "delimiter_missing", None),
        (bytes(3), "delimiter_missing", None),
        (bytes(8), "delimiter_missing", None),
        (bytes(64), "delimiter_missing", None),
        (bytes(5000), "delimiter_missing", None),
        (SEQUENCE_END[:6], "delimiter_missing", None),
        (SEQUENCE_END[:2], "delimiter_missing", None),
        (raw_element(0xFFFCFFFC, "OB", bytes(20)), "delimiter_missing", None),
        (FRAGMENT[:-2], None, "pixel_data_ends"),
        (FRAGMENT[:6], None, "pixel_data_ends"),
        (b"garbage in place of an item", None, "pixel_data_broken"),
        (ITEM_END, "delimiter_missing", None),
        (ITEM_END + bytes(512), "delimiter_missing", None),
        (ITEM_END[:4] + b"\xff\xff\xff\xff", "delimiter_missing", None),
        (ITEM_END + raw_element(0xFFFCFFFC, "OB", bytes(20)), "delimiter_missing", None),
        (b"\xfe\xff\x01\xe0" + bytes(4), None, "pixel_data_broken"),
    ],
)
def test_encapsulated_pixels_are_there_when_their_fragments_are(
    fragments: int, tail: bytes, problem: str | None, reason: str | None
) -> None:
    data = encapsulated(OFFSETS, *[FRAGMENT] * fragments, tail)
    header, elements = read(data)
    pixels = next(e for e, _ in elements if e.path == "PixelData")
    assert pixels.problem == problem
    assert (header.reason or "").split(":")[0] == (reason or "")
    is_whole = reason in (None, "bytes_follow")
    assert header.status == ("ok" if is_whole else "truncated")
    if is_whole:
        assert header.pixel_bytes == 8 * fragments


@pytest.mark.parametrize(
    ("items", "reason"), [((), "pixel_data_ends"), ((OFFSETS,), "pixel_data_ends"),
                          ((OFFSETS, bytes(2000)), "zeroed"), ((bytes(64),), "zeroed")],
)  # fmt: skip
def test_encapsulated_pixels_without_a_fragment_are_not_there(
    items: tuple[bytes, ...], reason: str
) -> None:
    header, _ = read(encapsulated(*items))
    assert (header.status, (header.reason or "").split(":")[0]) == ("truncated", reason)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize(
    ("tail", "reason"),
    [(bytes(n), None) for n in (1, 3, 8, 511, 4096, 100_000)]
    + [(b" ", None), (b"\r\nx", "bytes_follow")]
    + [(b"\xff" * 700, "bytes_follow"), (b"no element at all", "bytes_follow")],
)
def test_bytes_behind_native_pixels_are_padding_or_told(
    syntax: str, tail: bytes, reason: str | None
) -> None:
    whole = dataset_bytes(TransferSyntaxUID=syntax)
    header, elements = read(whole + tail)
    assert header.status == "ok"
    assert (header.reason or "").split(":")[0] == (reason or "")
    assert elements == by_reference(whole)[1]


# Declarations and bytes


def encodings() -> dict[str, bytes]:
    """One data set in each encoding, by the transfer syntax that it should declare."""
    plain = {
        syntax: dataset_bytes(TransferSyntaxUID=syntax, PixelData=None, Rows=512)
        for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
    }
    sets = {syntax: whole[data_set_at(whole) :] for syntax, whole in plain.items()}
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    explicit = sets[ExplicitVRLittleEndian]
    return {**sets, DeflatedExplicitVRLittleEndian: deflate.compress(explicit) + deflate.flush()}


@pytest.mark.parametrize("declared", encodings())
@pytest.mark.parametrize(
    "actual", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_data_set_is_read_as_its_bytes_are(declared: str, actual: str) -> None:
    data_set = encodings()[actual]
    header, elements = read(part10(declared, data_set))
    assert header.status == "ok"
    same = [e for e, _ in elements if e.tag >> 16 != 2]
    assert same == [e for e, _ in by_reference(part10(actual, data_set))[1] if e.tag >> 16 != 2]
    assert len(same) > 30
    (syntax,) = (e for e, _ in elements if e.path == "TransferSyntaxUID")
    is_same = actual == declared
    assert (syntax.value, syntax.problem) == (declared, None if is_same else "encoding_differs")


WINDOWS = {"raw": -zlib.MAX_WBITS, "zlib": zlib.MAX_WBITS, "gzip": zlib.MAX_WBITS | 16}


@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize("wrapper", WINDOWS)
@pytest.mark.parametrize(
    "declared", [DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian]
)
def test_deflated_data_set_is_read_in_any_wrapper(declared: str, wrapper: str, level: int) -> None:
    data_set = encodings()[ExplicitVRLittleEndian]
    deflate = zlib.compressobj(level, zlib.DEFLATED, WINDOWS[wrapper])
    folded = deflate.compress(data_set) + deflate.flush()
    header, elements = read(part10(declared, folded))
    assert (header.status, header.reason) == ("ok", None)
    same = [e for e, _ in elements if e.tag >> 16 != 2]
    plain = by_reference(part10(ExplicitVRLittleEndian, data_set))[1]
    assert same == [e for e, _ in plain if e.tag >> 16 != 2]
    (syntax,) = (e for e, _ in elements if e.path == "TransferSyntaxUID")
    is_as_declared = declared == DeflatedExplicitVRLittleEndian and wrapper == "raw"
    assert syntax.problem == (None if is_as_declared else "encoding_differs")
    for length in (len(folded) // 2, len(folded) - 1):
        assert read(part10(declared, folded[:length]))[0].status != "ok"


@pytest.mark.parametrize("preamble", [bytes(128), b"II*\0" + bytes(124), b"x" * 128])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_preamble_and_meta_group_may_stand_twice(syntax: str, preamble: bytes) -> None:
    whole = dataset_bytes(TransferSyntaxUID=syntax)
    once = by_reference(whole)[1]
    n_meta = sum(e.tag >> 16 == 2 for e, _ in once)
    head = preamble + whole[128 : data_set_at(whole)]
    header, elements = read(head + whole)
    assert (header.status, header.reason) == ("ok", None)
    assert elements[:n_meta] + elements[2 * n_meta :] == once
    assert all("outside_meta" in (e.problem or "") for e, _ in elements[n_meta : 2 * n_meta])
    assert read(preamble + b"DICM" + whole) == (header, once)


def test_encoding_may_change_within_a_data_set() -> None:
    for syntax, first in ((ImplicitVRLittleEndian, True), (ExplicitVRLittleEndian, False)):
        mixed = raw_element(0x00080018, "UI", b"1.2.3\0", first)
        mixed += raw_element(0x00100020, "LO", b"P1", not first) + raw_element(
            0x00200010, "SH", b"S1", first
        )
        header, elements = read(part10(syntax, mixed))
        assert header == FileHeader("ok")
        assert [e.value for e, _ in elements[-3:]] == ["1.2.3", "P1", "S1"]


@pytest.mark.parametrize("is_encapsulated", [True, False])
@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, ExplicitVRLittleEndian])
def test_pixels_of_the_other_kind_than_the_transfer_syntax_are_told(
    is_encapsulated: bool, syntax: str
) -> None:
    if is_encapsulated:
        data = encapsulated(OFFSETS, FRAGMENT, SEQUENCE_END, syntax=syntax)
    else:
        whole = dataset_bytes(TransferSyntaxUID=syntax, PixelData=None)
        data = whole + raw_element(0x7FE00010, "OW", bytes(512))
    is_odd = is_encapsulated != (syntax == JPEGLosslessSV1)
    assert problems(data) == ({"PixelData": "encapsulation_differs"} if is_odd else {})


SECOND_META = (
    raw_element(0x00020010, "UI", b"1.2.840.10008.1.2\0")
    + raw_element(0x00020012, "UI", b"1.2.40.0.13\0")
    + raw_element(0x00020013, "SH", b"OTHER_1 ")
)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("before", [0, 3, 20])
@pytest.mark.parametrize("has_length", [True, False])
def test_second_meta_group_does_not_override_the_first(
    tmp_path: Path, syntax: str, before: int, has_length: bool
) -> None:
    whole = dataset_bytes(TransferSyntaxUID=syntax)
    if has_length:
        length = struct.pack("<L", data_set_at(whole) - 132)
        whole = whole[:132] + raw_element(0x00020000, "UL", length) + whole[132:]
    own = [e for e, _ in by_reference(whole)[1] if e.tag >> 16 != 2]
    at = data_set_at(whole) + sum(8 + (e.n_bytes or 0) for e in own[:before])
    data = whole[:at] + SECOND_META + whole[at:]
    header, elements = read(data)
    assert header.status == "ok"
    odd = [e for e, _ in elements if "outside_meta" in (e.problem or "")]
    assert [e.tag for e in odd] == [0x00020010, 0x00020012, 0x00020013]
    assert {e.problem_class for e in odd} == {"value"}
    assert [(e.tag, e.value) for e, _ in elements if e not in odd] == [
        (e.tag, e.value) for e, _ in by_reference(whole)[1]
    ]
    write(tmp_path, {"1": data})
    assert only(tmp_path, "files", path="1")["TransferSyntaxUID"] == syntax
    assert only(tmp_path, "images", path="1")["ImplementationVersionName"] == "DICOMHOUSE_TEST"


def test_meta_group_that_its_length_misses_is_still_one() -> None:
    whole = dataset_bytes()
    longer = raw_element(0x00020016, "AE", b"STATION1")
    at = data_set_at(whole)
    data = whole[:at] + longer + whole[at:]
    assert problems(data) == {}
    assert found(data, "SourceApplicationEntityTitle")[0].value == "STATION1"


# Repeated and out of order


def occurrences(data: bytes, path: str) -> list[tuple[str | None, str | None]]:
    return [(e.value, e.problem) for e in found(data, path)]


COUNTS, NOT = "repeated", "overridden repeated"


@pytest.mark.parametrize(
    ("tag", "vr", "first", "second"),
    [
        (0x00100020, "LO", b"FIRST ", b"SECOND"),
        (0x00080018, "UI", b"1.2.3\0", b"1.2.4\0"),
        (0x00280010, "US", b"\x10\0", b"\x20\0"),
        (0x00200032, "DS", b"1\\2\\3 ", b"4\\5\\6 "),
        (0x00080020, "DA", b"20200101", b"20200102"),
    ],
)
def test_repeated_element_keeps_every_occurrence(
    tmp_path: Path, tag: int, vr: str, first: bytes, second: bytes
) -> None:
    keyword = pydicom.datadict.keyword_for_tag(tag)
    one, two = raw_element(tag, vr, first), raw_element(tag, vr, second)
    plain = dataset_bytes()
    data = with_element(plain, tag, one, two)
    theirs = pydicom.dcmread(io.BytesIO(data))[keyword].value
    elements = found(data, keyword)
    assert [e.problem for e in elements] == [NOT, COUNTS]
    assert [e.structural for e in elements] == [True, False]
    write(tmp_path, {"1": data, "2": with_element(plain, tag, two)})
    ours, alone = (only(tmp_path, "images", path=path)[keyword] for path in "12")
    assert ours == alone
    assert str(elements[1].value) == "\\".join(
        map(str, theirs if isinstance(theirs, pydicom.multival.MultiValue) else [theirs])
    )
    held = [r for r in rows(tmp_path, "elements") if r["path"] == keyword]
    assert len({(r["file_id"], r["position"]) for r in held}) == 3


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_element_at_another_place_is_told_and_its_neighbours_are_not(syntax: str) -> None:
    implicit = syntax == ImplicitVRLittleEndian
    whole = dataset_bytes(TransferSyntaxUID=syntax, PatientID="P1")
    at = data_set_at(whole)
    other = raw_element(0x00100020, "LO", b"OTHER ", implicit)
    places = {
        "front": (whole[:at] + other + whole[at:], ["OTHER", "P1"], [True, False]),
        "behind": (whole + other, ["P1", "OTHER"], [False, True]),
        "padded": (whole + other + bytes(100), ["P1", "OTHER"], [False, True]),
    }
    for data, values, displaced in places.values():
        elements = found(data, "PatientID")
        assert [e.value for e in elements] == values
        assert ["out_of_order" in (e.problem or "") for e in elements] == displaced
        assert ["overridden" in (e.problem or "") for e in elements] == [True, False]
        assert list(problems(data)) == ["PatientID"]


def test_element_that_is_only_out_of_order_keeps_its_column(tmp_path: Path) -> None:
    whole = dataset_bytes(PatientID=None)
    late = whole + raw_element(0x00100020, "LO", b"LATE")
    assert problems(late) == {"PatientID": "out_of_order"}
    write(tmp_path, {"1": late})
    assert only(tmp_path, "images", path="1")["PatientID"] == "LATE"


def test_descending_data_set_is_whole() -> None:
    whole = dataset_bytes(PixelData=None)
    data = whole[: data_set_at(whole)] + b"".join(data for _, data in reversed(split(whole)))
    header, elements = read(data)
    assert header.status == "ok"
    tags = [e.tag for e, _ in elements if e.tag >> 16 != 2]
    assert tags == sorted((tag for tag, _ in split(whole)), reverse=True)
    assert sum("out_of_order" in (e.problem or "") for e, _ in elements) == len(tags) - 1


@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("undefined_item", [True, False])
def test_repetition_within_an_item_is_told_there(undefined: bool, undefined_item: bool) -> None:
    code = raw_element(0x00080100, "SH", b"A1") + raw_element(0x00080100, "SH", b"A2")
    late = raw_element(0x00080060, "CS", b"CT")
    value = raw_item(code, late, undefined=undefined_item) + SEQUENCE_END * undefined
    data = with_element(
        dataset_bytes(), 0x00081032, raw_element(0x00081032, "SQ", value, False, undefined)
    )
    nested = [(e.value, e.problem) for e, item in read(data)[1] if item == "0"]
    assert nested == [("A1", NOT), ("A2", COUNTS), ("CT", "out_of_order")]


def test_repeated_sequence_counts_once() -> None:
    item = [raw_item(raw_element(0x00080100, "SH", name)) for name in (b"A1", b"A2")]
    first = raw_element(0x00081032, "SQ", item[0] + item[0])
    data = with_element(dataset_bytes(), 0x00081032, first, raw_element(0x00081032, "SQ", item[1]))
    path = "ProcedureCodeSequence"
    assert [e.structural for e in found(data, path)] == [True, False]
    codes = [(e.value, e.structural) for e, _ in read(data)[1] if e.path == f"{path}.CodeValue"]
    assert codes == [("A1", True), ("A1", True), ("A2", False)]


def test_repeated_sequence_has_the_column_of_the_one_that_counts(tmp_path: Path) -> None:
    items = [raw_item(raw_element(0x00080100, "SH", name)) for name in (b"A1", b"A2")]
    both = [raw_element(0x00081032, "SQ", item) for item in items]
    plain = dataset_bytes()
    write(tmp_path, {
        "1": with_element(plain, 0x00081032, *both), "2": with_element(plain, 0x00081032, both[1]),
    })  # fmt: skip
    ours, alone = (only(tmp_path, "images", path=p)["ProcedureCodeSequence"] for p in "12")
    assert ours == alone and "A2" in ours


def test_repeated_pixels_are_measured_once() -> None:
    whole = dataset_bytes(PixelData=bytes(512))
    data = whole + raw_element(0x7FE00010, "OW", bytes(300))
    header, _ = read(data)
    assert (header.status, header.pixel_bytes) == ("ok", 300)
    assert [e.problem for e in found(data, "PixelData")] == [NOT, COUNTS]


def test_repeated_character_set_is_the_last_one() -> None:
    whole = dataset_bytes(SpecificCharacterSet=None)
    sets = [raw_element(0x00080005, "CS", text(term)) for term in ("ISO_IR 100", "ISO_IR 192")]
    data = with_element(whole, 0x00080005, *sets)
    data = with_element(data, 0x00100010, raw_element(0x00100010, "PN", text("Jörg")))
    assert found(data, "PatientName")[0].value == "Jörg"


def test_stray_delimiter_loses_nothing() -> None:
    for stray in (ITEM_END, SEQUENCE_END, b"\xfe\xff\x00\xe0\0\0\0\0"):
        parts = split(dataset_bytes())
        head = dataset_bytes()[: data_set_at(dataset_bytes())]
        data = head + b"".join(d for _, d in parts[:9]) + stray + b"".join(d for _, d in parts[9:])
        header, elements = read(data)
        assert header.status == "ok"
        tags = [e.tag for e, _ in elements if e.tag >> 16 != 2]
        assert [tag for tag in tags if tag >> 16 != 0xFFFE] == [tag for tag, _ in parts]
        assert len(tags) == len(parts) + 1


# Sequences

STEP = raw_element(0x00400009, "SH", b"S1")
AFTER = raw_element(0x00401001, "SH", b"R1")


@pytest.mark.parametrize(
    ("value", "undefined", "problem", "steps"),
    [
        (raw_item(STEP) + SEQUENCE_END, True, None, 1),
        (raw_item(STEP), True, "items_odd", 1),  # no delimiter
        (b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + STEP + SEQUENCE_END, True, "items_odd", 1),
        (b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + STEP, False, "items_odd", 1),
        (raw_item(STEP)[:4] + b"\x04\0\0\0" + STEP, False, "items_odd", 1),  # item too short
        (raw_item(STEP)[:4] + b"\x40\0\0\0" + STEP, False, "items_odd", 1),  # item too long
        (raw_item(STEP) + b"abc ", False, "items_odd", 1),
        (STEP, False, "items_invalid", 0),
        (b"nothing of the kind ", False, "items_invalid", 0),
    ],
)
def test_sequence_of_odd_extent_keeps_what_follows(
    value: bytes, undefined: bool, problem: str | None, steps: int
) -> None:
    sequence = raw_element(0x00400275, "SQ", value, False, undefined)
    header, elements = read(part10(ExplicitVRLittleEndian, MINIMAL + sequence + AFTER))
    assert header.status == "ok"
    by_path = {e.path: e for e, _ in elements}
    assert by_path["RequestedProcedureID"].value == "R1"
    assert by_path["RequestAttributesSequence"].problem == problem
    assert (f"RequestAttributesSequence.{'ScheduledProcedureStepID'}" in by_path) == bool(steps)
    if problem == "items_invalid":
        assert by_path["RequestAttributesSequence"].n_bytes == len(value)


@pytest.mark.parametrize("undefined", [True, False])
def test_cut_within_a_sequence_keeps_what_was_there(undefined: bool) -> None:
    value = raw_item(STEP, raw_element(0x00400010, "SH", b"twelve bytes"))
    value += SEQUENCE_END if undefined else b""
    sequence = raw_element(0x00400275, "SQ", value, False, undefined)
    whole = part10(ExplicitVRLittleEndian, MINIMAL + sequence)
    header, elements = read(whole[: whole.index(b"twelve bytes") + 5])
    reason = "header_ends: the file ends within its header"
    assert (header.status, header.reason) == ("truncated", reason)
    assert [e.value for e, item in elements if item] == ["S1", "twelv"]
    assert elements[-1][0].problem == "cut_short"


# Zeros


@pytest.mark.parametrize("size", [1, 8, 200, 512, 530_000])
def test_zeros_are_not_dicom(size: int) -> None:
    header, elements = read(bytes(size))
    assert (header.status, (header.reason or "").split(":")[0]) == ("not_dicom", "zeros")
    assert elements == []


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_file_that_ends_in_zeros_is_zeroed_wherever_they_begin(syntax: str) -> None:
    whole = dataset_bytes(TransferSyntaxUID=syntax, Rows=64, Columns=64)
    pixels = whole.index(b"\xe0\x7f\x10\x00")
    for at in range(134, pixels, 7):
        header, elements = read(whole[:at] + bytes(len(whole) - at))
        code = (header.reason or "").split(":")[0]
        assert (header.status, code) == ("truncated", "zeroed"), at
        assert 0 not in [e.tag for e, _ in elements]


@pytest.mark.parametrize("size", [1, 7, 8, 100, 511])
def test_a_few_zeros_behind_a_data_set_are_padding(size: int) -> None:
    whole = part10(ExplicitVRLittleEndian, MINIMAL + raw_element(0x00100020, "LO", b"P1"))
    assert read(whole + bytes(size)) == by_reference(whole)


def test_zeros_between_elements_are_padding() -> None:
    parts = split(dataset_bytes())
    head = dataset_bytes()[: data_set_at(dataset_bytes())]
    for size in (8, 10, 64):
        data = head + b"".join(bytes(size) * (n == 12) + d for n, (_, d) in enumerate(parts))
        assert read(data)[1] == by_reference(dataset_bytes())[1]


# Character sets


def named(terms: bytes | None, name: bytes, description: bytes = b"") -> bytes:
    data = with_element(
        dataset_bytes(SpecificCharacterSet=None), 0x00100010,
        raw_element(0x00100010, "PN", text(name)),
    )  # fmt: skip
    if terms is not None:
        data = with_element(data, 0x00080005, raw_element(0x00080005, "CS", text(terms)))
    return with_element(data, 0x0008103E, raw_element(0x0008103E, "LO", text(description)))


@pytest.mark.parametrize(
    ("terms", "codec", "name", "problem", "own"),
    [
        (None, "ascii", "Doe^Test", None, None),
        (b"Not Supplied", "ascii", "Doe^Test", None, "charset_unknown characters"),
        (b"ISO_IR 999", "latin-1", "Jörg", "charset_unknown", "charset_unknown"),
        (b"ISO 2022 IR 6\\IS", "cp1251", "Èâàíîâ", "charset_unknown", "charset_unknown"),
        (b"ISO IR 192", "utf-8", "Ångström^Ö", "charset_misdeclared", "charset_misdeclared"),
        (b"ISO-IR 100", "latin-1", "Ångström^Ö", "charset_misdeclared",
         "charset_misdeclared characters"),
        (b"iso_ir 100", "latin-1", "Ångström^Ö", "charset_misdeclared",
         "charset_misdeclared characters"),
        (b"UTF-8", "utf-8", "Ångström^Ö", "charset_misdeclared", "charset_misdeclared characters"),
        (b"ISO_IR 192\\ISO_IR 100", "utf-8", "Jörg", "charset_misdeclared", "charset_misdeclared"),
        (b"iso_ir 192", "utf-8", "Ångström^Ö", "charset_misdeclared",
         "charset_misdeclared characters"),
        (b"ISO_IR192", "utf-8", "Ångström^Ö", "charset_misdeclared", "charset_misdeclared"),
        (b"ISO 2022 IR 192", "utf-8", "Ångström^Ö", "charset_misdeclared", "charset_misdeclared"),
        (b"ISO_IR 149", "euc-kr", "홍^길동", "charset_misdeclared", "charset_misdeclared"),
        (b"ISO_IR 203", "iso8859-15", "Œuvre^€", None, None),
        (b"ISO_IR 100", "utf-8", "Ångström^Ö", "charset_misdeclared", None),
        (b"GB18030\\ISO IR 192", "gb18030", "王^小东", "charset_misdeclared",
         "charset_misdeclared"),
        (b"ISO_IR 100\\FOO", "latin-1", "Jörg", "charset_misdeclared", "charset_unknown"),
        (b"GB18030", "gb18030", "昞^小东", None, None),
        (b"GBK", "gbk", "昞^小东", None, None),
        (b"ISO_IR 13", "shift_jis", "ﾔﾏﾀﾞ^ﾀﾛｳ", None, None),
        (b"ISO_IR 192", "latin-1", "J\ufffdrg", "charset_undecodable", None),
    ],
)  # fmt: skip
def test_text_is_right_where_its_character_set_can_be_told(
    terms: bytes | None, codec: str, name: str, problem: str | None, own: str | None
) -> None:
    written = "Jörg" if "\ufffd" in name else name
    if codec == "cp1251":
        written, codec = name, "latin-1"
    data = named(terms, written.encode(codec), b"Chest")
    element = found(data, "PatientName")[0]
    assert (element.vm, element.value, element.problem) == (1, name, problem)
    assert found(data, "SeriesDescription")[0].problem is None
    if terms is not None:
        assert found(data, "SpecificCharacterSet")[0].problem == own


@pytest.mark.parametrize("terms", [None, b"", b"ISO_IR 6", b"\\ISO 2022 IR 87"])
def test_text_of_no_declared_character_set_is_told(terms: bytes | None) -> None:
    data = named(terms, "Müller^Jörg".encode("latin-1"), "王".encode("gb18030"))
    data = with_element(data, 0x00081080, raw_element(0x00081080, "LO", text("Fièvre à 39°")))
    for path, value in (
        ("PatientName", "Müller^Jörg"), ("SeriesDescription", "Íõ"),
        ("AdmittingDiagnosesDescription", "Fièvre à 39°"),
    ):  # fmt: skip
        (element,) = found(data, path)
        assert (element.value, element.problem, element.problem_class) == (
            value, "charset_undeclared", "form"
        )  # fmt: skip


def test_backslash_within_a_character_is_no_separator() -> None:
    for codec in ("gb18030", "gbk"):
        raw = "昞胸部\\昞".encode(codec)
        assert raw.count(b"\\") == 3
        (element,) = found(named(codec.upper().encode(), b"A", raw), "SeriesDescription")
        assert (element.value, element.vm, element.problem) == ("昞胸部\\昞", 2, "vm_not_one")
    (element,) = found(named(b"ISO_IR 13", b"A", b"A\\B"), "SeriesDescription")
    assert (element.value, element.vm) == ("A\\B", 2)


def test_escapes_declare_their_text() -> None:
    korean = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7"
    assert found(named(b"\\ISO 2022 IR 149", korean), "PatientName")[0].problem is None
    bare = found(named(b"\\ISO 2022 IR 149", korean.replace(b"\x1b$)C", b"")), "PatientName")[0]
    assert bare.problem == "charset_undeclared"


# Values


def value_of(keyword: str, value: bytes) -> Element:
    tag = Tag(keyword)
    vr = pydicom.datadict.dictionary_VR(tag)
    data = with_element(dataset_bytes(), tag, raw_element(tag, vr, text(value)))
    (element,) = found(data, keyword)
    return element


@pytest.mark.parametrize(
    ("keyword", "value", "problem", "typed"),
    [
        ("InstanceNumber", b"2147483647", None, 2147483647),
        ("InstanceNumber", b"-2147483648", None, -2147483648),
        ("InstanceNumber", b"2147483648", "number_out_of_range", 2147483648),
        ("SeriesNumber", b"3103050000", "number_out_of_range", 3103050000),
        ("SeriesNumber", b"456115117112105110101", "number_out_of_range too_long", None),
        ("SeriesNumber", b"000000000000000000000000007", "too_long", 7),
        ("SeriesNumber", b"2.0", "is_decimal", 2),
        ("SeriesNumber", b"3e9", "number_out_of_range is_decimal", 3000000000),
        ("SeriesNumber", b"1.5", "number_invalid", None),
        ("SeriesNumber", b"0x10", "number_invalid", None),
        ("SeriesNumber", b"1,000", "number_invalid", None),
        ("SeriesNumber", b"7 1", "number_invalid", None),
        ("SeriesNumber", b"\xb2", "number_invalid characters", None),
        ("SeriesNumber", b" 4", None, 4),
        ("SliceThickness", b"NaN", "number_nonfinite", None),
        ("SliceThickness", b"-inf", "number_nonfinite", None),
        ("SliceThickness", b"1.25mm", "number_invalid", None),
        ("SliceThickness", b"+1.25e0", None, 1.25),
        ("ImageOrientationPatient", b"1\\0\\0\\0\\1", "vm_forbidden", None),
        ("ImageOrientationPatient", b"nan\\nan\\nan\\0\\1\\0", "number_nonfinite",
         [None, None, None, 0, 1, 0]),
        ("ImageOrientationPatient", b"nan\\nan", "number_nonfinite vm_forbidden", None),
        ("ImagePositionPatient", b"1\\2", "vm_forbidden", None),
        ("PixelSpacing", b"1\\1\\1", "vm_forbidden", None),
        ("PixelSpacing", b"1", "vm_forbidden", None),
        ("WindowCenter", b"1\\2\\3\\4", None, [1, 2, 3, 4]),
        ("ImageType", b"original", "vm_differs characters", ["original"]),
        ("PatientID", b"a\\b", "vm_not_one", None),
        ("StudyDate", b"2020.01.02", "date_legacy", "2020-01-02"),
        ("StudyDate", b"2020-01-02", "date_invalid", None),
        ("StudyTime", b"101112", None, "10:11:12"),
        ("StudyTime", b"101112.000000", None, "10:11:12"),
        ("StudyTime", b"101112.5", None, "10:11:12.500000"),
        ("StudyTime", b"101112.500", None, "10:11:12.500000"),
        ("StudyTime", b"101112.1234567", "fraction_too_long", "10:11:12.123456"),
        ("StudyTime", b"10:11:12.123456789", "too_long time_legacy fraction_too_long",
         "10:11:12.123456"),
        ("StudyTime", b"10:11", "time_legacy", "10:11:00"),
        ("StudyTime", b"101112.", "time_invalid", None),
        ("AcquisitionDateTime", b"20200102101112.1234567", "fraction_too_long",
         "2020-01-02 10:11:12.123456"),
        ("AcquisitionDateTime", b"20200102101112.123456+0100", None,
         "2020-01-02 10:11:12.123456"),
        ("AcquisitionDateTime", b"2020", None, "2020-01-01 00:00:00"),
        ("PatientAge", b"41Y", "age_invalid", "41Y"),
        ("FrameOfReferenceUID", b"1." + b"2" * 70, "uid_invalid", "1." + "2" * 70),
    ],
)  # fmt: skip
def test_value_of_class_form_has_a_column(
    tmp_path: Path, keyword: str, value: bytes, problem: str | None, typed: Any
) -> None:
    element = value_of(keyword, value)
    assert element.problem == problem
    assert element.problem_class == (class_of(problem) if problem else None)
    tag = Tag(keyword)
    vr = pydicom.datadict.dictionary_VR(tag)
    write(tmp_path, {"1": with_element(dataset_bytes(), tag, raw_element(tag, vr, text(value)))})
    held = only(tmp_path, "images", path="1")[keyword]
    is_text = isinstance(typed, str)
    assert (str(held) if is_text else held) == typed
    assert element.problem_class != "form" or held is not None


@pytest.mark.parametrize(
    ("keyword", "vr", "value", "problem"),
    [
        ("SliceThickness", "LO", b"thick ", "type_differs vr_differs"),
        ("SliceThickness", "LO", b"1.5 ", "vr_differs"),
        ("SliceThickness", "OB", b"\1\2", "type_differs vr_differs"),
        ("StudyDate", "LO", b"today ", "type_differs vr_differs"),
        ("PatientID", "US", b"\1\0", "vr_differs"),
        ("ReferencedImageSequence", "LO", b"text", "type_differs vr_differs"),
        ("InstanceNumber", "UN", b"12", "un_known_tag"),
        ("InstanceNumber", "UN", b"ab", "number_invalid un_known_tag"),
        ("InstanceNumber", "FD", struct.pack("<d", 1.5), "type_differs vr_differs"),
        ("Rows", "DS", b"512 ", "vr_differs"),
        ("PatientID", "SQ", b"", "vr_differs"),
        ("PatientID", "SQ", raw_item(), "type_differs vr_differs"),
    ],
)
def test_other_vr_is_of_class_form_only_where_it_fits(
    tmp_path: Path, keyword: str, vr: str, value: bytes, problem: str
) -> None:
    data = with_element(dataset_bytes(), Tag(keyword), raw_element(Tag(keyword), vr, value))
    (element,) = found(data, keyword)
    assert element.problem == problem
    write(tmp_path, {"1": data})
    held = only(tmp_path, "images", path="1")[keyword]
    assert (held is not None) == (element.problem_class == "form" and element.vm > 0)


@pytest.mark.parametrize("vr", ["lo", "??", "  "])
@pytest.mark.parametrize("tag", [0x00100020, 0x00091010])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("pixels", [512, 1 << 19])
def test_what_is_no_vr_costs_no_element(vr: str, tag: int, syntax: str, pixels: int) -> None:
    values = {"TransferSyntaxUID": syntax, "PixelData": bytes(pixels)}
    creator = DataElement(0x00090010, "LO", "ACME")
    whole = dataset_bytes(creator, DataElement(tag, "LO", "ABCD"), **values)
    size = struct.pack("<H" if syntax == ExplicitVRLittleEndian else ">H", 4)
    assert whole.count(b"LO" + size + b"ABCD") == 1
    data = whole.replace(b"LO" + size + b"ABCD", vr.encode() + size + b"ABCD")
    header, elements = read(data)
    assert header.status == "ok"
    assert [e.path for e, _ in elements] == [e.path for e, _ in read(whole)[1]]
    (odd,) = [e for e, _ in elements if e.problem]
    assert (odd.tag, odd.value, odd.problem) == (tag, "ABCD", "vr_differs")


def test_private_element_without_a_creator_is_told() -> None:
    data = dataset_bytes(
        DataElement(0x0019100C, "LO", "alone"),
        DataElement(0x00210010, "LO", "ACME"),
        DataElement(0x0021100C, "LO", "at home"),
        DataElement(0x0021110C, "LO", "in no block"),
        DataElement(0x00230010, "LO", "B" * 70),
        DataElement(0x0023100C, "LO", "behind a name too long"),
    )
    assert problems(data) == {
        "(0019,?,0C)": "private_without_creator",
        "(0021,?,0C)": "private_without_creator",
        "(0023,?)": "too_long",
        "(0023,?,0C)": "private_without_creator",
    }


def test_every_problem_is_told_by_a_rule_and_explained() -> None:
    seed = resource("dbt", "seeds", "problem_codes.csv")
    with seed.open(newline="", encoding="utf-8") as lines:
        told = list(csv.DictReader(lines))
    assert {row["problem"]: row["problem_class"] for row in told} == PROBLEM_CLASS
    for row in told:
        of_class = {"element_invalid": "value", "element_form": "form"}.get(row["rule"])
        assert of_class in (None, row["problem_class"]), row["problem"]
        assert row["description"]


def test_problems_of_one_element_stand_together_the_heaviest_first() -> None:
    assert joined("too_long", None, "vm_not_one repeated", "too_long") == (
        "vm_not_one repeated too_long"
    )
    assert joined(None) is None
    order = list(PROBLEM_CLASS.values())
    assert order == sorted(order, reverse=True)  # value before form
    element = value_of("PatientID", b"x" * 65 + b"\\" + b"\xfc" * 65)
    assert element.problem == "vm_not_one charset_undeclared too_long"
    assert element.problem_class == "value"


# Properties


TEXTS = {
    0x00080005: "CS", 0x00080020: "DA", 0x00080060: "CS", 0x0008103E: "LO", 0x00100010: "PN",
    0x00180050: "DS", 0x00200013: "IS", 0x00200032: "DS", 0x00280103: "LO",
}  # fmt: skip
VALUES = st.sampled_from([b"", b"CT", b"1.0 ", b"20200102", b"1\\2\\3 ", b"\xfc ", b"a\\b "])


@st.composite
def shuffled(draw: Any) -> tuple[bytes, list[tuple[str, int]]]:
    """A file of any encoding, elements in any order and number, and where each of them stands."""
    syntax = draw(st.sampled_from([ExplicitVRLittleEndian, ImplicitVRLittleEndian]))
    implicit = syntax == ImplicitVRLittleEndian
    places: list[tuple[str, int]] = []

    def data_set(item: str, depth: int) -> bytes:
        parts = []
        tags = st.sampled_from([*TEXTS, 0x00091001, 0x00090010, 0x00081032, 0x00400275])
        for tag in draw(st.lists(tags, min_size=1, max_size=7)):
            places.append((item, tag))
            if tag not in (0x00081032, 0x00400275):
                vr = TEXTS.get(tag, "LO")
                parts.append(raw_element(tag, vr, draw(VALUES), implicit))
                continue
            undefined = draw(st.booleans())
            items = b""
            for number in range(draw(st.integers(0, 2)) if depth < 2 else 0):
                below = f"{item}.{number}" if item else str(number)
                items += raw_item(data_set(below, depth + 1), undefined=draw(st.booleans()))
            items += SEQUENCE_END if undefined else b""
            parts.append(raw_element(tag, "SQ", items, implicit, undefined))
            if draw(st.integers(0, 9)) == 0 and not depth:
                parts.append(bytes(8 * draw(st.integers(1, 3))))
        return b"".join(parts)

    return part10(syntax, raw_element(0x00080018, "UI", b"1.2.3\0", implicit) + data_set("", 0)), [
        ("", 0x00080018), *places
    ]  # fmt: skip


@settings(SLOW, max_examples=200)
@given(shuffled())
def test_every_element_is_a_row_in_the_order_of_the_file(
    made: tuple[bytes, list[tuple[str, int]]],
) -> None:
    data, places = made
    header, elements = by_reference(data)
    assert_equal([data, data])
    assert header == FileHeader("ok")
    assert [(item, e.tag) for e, item in elements if e.tag >> 16 != 2] == places


def test_every_byte_of_a_broken_header_belongs_to_an_element_or_has_a_reason() -> None:
    for files, _ in fuzz.rounds(seed=5, files=200):
        for data in dict.fromkeys(files):
            fuzz.account(data)


@settings(SLOW, max_examples=150)
@given(st.lists(made_up(), min_size=1, max_size=4))
def test_every_form_problem_leaves_a_value_in_its_column(
    tmp_path_factory: pytest.TempPathFactory, files: list[bytes]
) -> None:
    lake = tmp_path_factory.mktemp("lake")
    write(lake, {str(n): data for n, data in enumerate(files)})
    images = {row["file_id"]: row for row in rows(lake, "images")}
    for row in rows(lake, "elements"):
        if row["depth"] or row["problem_class"] != "form" or not row["vm"]:
            continue
        held = images.get(row["file_id"], {})  # none of bare file meta information
        if row["keyword"] in held:
            assert held[row["keyword"]] is not None, (row["keyword"], row["problem"])


def test_tags_are_told_where_they_fall() -> None:
    def displaced(*tags: int) -> list[int]:
        told = problems_of_place(tags)
        return [n for n, problem in enumerate(told) if problem and "out_of_order" in problem]

    assert displaced(1, 2, 3) == []
    assert displaced(9, 1, 2, 3) == [0]
    assert displaced(1, 2, 9, 3, 4) == [2]
    assert displaced(5, 6, 1) == [2]
    assert displaced(5, 6, 1, 7) == [2]
    assert displaced(2, 1) == [1]
