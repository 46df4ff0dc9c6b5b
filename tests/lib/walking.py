"""The walker beside the reference reader."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicomhouse.dicom.bounds import Bounds
from dicomhouse.dicom.elements import Element, FileHeader, Headers
from dicomhouse.dicom.reference import read_header
from dicomhouse.dicom.walk import Walker
from dicomhouse.testing.raw import part10, raw_element

Read = tuple[FileHeader, list[tuple[Element, str]]]


def by_reference(data: bytes, bounds: Bounds | None = None) -> Read:
    headers = Headers()
    header = read_header(io.BytesIO(data), headers, bounds)
    return header, list(headers.occurrences(0))


def by_walker(
    files: Sequence[bytes], first_read: int = 8192, bounds: Bounds | None = None
) -> tuple[list[Read], Walker]:
    """All files through one walker."""
    headers = Headers()
    walker = Walker(headers, bounds, first_read)
    statuses = [walker.read(io.BytesIO(data)) for data in files]
    assert len(headers) == len(files)
    assert headers.files == statuses
    assert headers.counts.sum() == len(headers.codes) == len(headers.item_codes)
    return [(s, list(headers.occurrences(i))) for i, s in enumerate(statuses)], walker


def assert_same(ours: Read, theirs: Read) -> None:
    assert len(ours[1]) == len(theirs[1])
    assert ours[0] == theirs[0]
    for mine, yours in zip(ours[1], theirs[1], strict=True):
        assert mine == yours
    assert repr(ours) == repr(theirs)  # 1 == 1.0 == True, and nan != nan


def assert_equal(
    files: Sequence[bytes], first_read: int = 8192, bounds: Bounds | None = None
) -> Walker:
    read, walker = by_walker(files, first_read, bounds)
    for data, ours in zip(files, read, strict=True):
        assert_same(ours, by_reference(data, bounds))
    return walker


TEXTS = {
    0x00080008: "CS", 0x00080020: "DA", 0x00080030: "TM", 0x0008002A: "DT", 0x00080070: "LO",
    0x00100010: "PN", 0x00100020: "LO", 0x00101010: "AS", 0x00104000: "LT", 0x00180050: "DS",
    0x00200013: "IS", 0x0020000D: "UI", 0x00080054: "AE", 0x00081030: "LO", 0x00280030: "DS",
    0x00189445: "SH", 0x0040A160: "UT", 0x00080120: "UR", 0x00080119: "UC",
}  # fmt: skip


NUMBERS = {
    0x00280010: "US", 0x00280106: "SS", 0x00280107: "US", 0x00280120: "SS", 0x00189810: "US",
    0x00186020: "SL", 0x00080001: "UL", 0x00189087: "FD", 0x00082130: "DS", 0x00281101: "US",
    0x00283002: "SS", 0x00409216: "SS", 0x00280071: "US", 0x00720082: "SV", 0x00281100: "US",
    0x00220058: "FL", 0x00280009: "AT",
}  # fmt: skip


BULK = {
    0x00420011: "OB", 0x60003000: "OW", 0x60203000: "OB", 0x54001010: "OW", 0x00283006: "OW",
    0x00282000: "OB", 0x7FE00010: "OW", 0x00660016: "OF", 0x00143050: "OB",
}  # fmt: skip


SEQUENCES = (0x00081140, 0x00082112, 0x00283000, 0x00283010, 0x00400275, 0x00880200, 0x52009230)


LONG = {"OB", "OD", "OF", "OL", "OW", "OV", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}


CREATORS = (b"SIEMENS CSA HEADER", b"SIEMENS MR HEADER ", b"GEMS_PARM_01",
            b"Philips Imaging DD 001", b"ACME \"X\" ", b"", b"a\\b ", b"SPI-P Release 1 ",
            b"M\xfcller")  # fmt: skip


CHARSETS = (b"ISO_IR 100", b"ISO_IR 192", b"GB18030 ", b"\\ISO 2022 IR 87 ", b"", b"NOT_KNOWN ",
            b"ISO 2022 IR 6\\ISO 2022 IR 149")  # fmt: skip


VALUES = st.one_of(
    st.sampled_from([b"", b"1.0 ", b"1.5 ", b"CT", b"20240229", b"1.2.3\0", b"a\\b ",
                     b" x", b"1e400 "]),
    st.binary(max_size=9).map(lambda b: b + b" " * (len(b) % 2)),
    st.text(max_size=6).map(lambda t: t.encode()).map(lambda b: b + b" " * (len(b) % 2)),
)  # fmt: skip


@st.composite
def datasets(draw: Any, implicit: bool, depth: int = 0) -> bytes:
    """The bytes of a dataset: elements in order, most of them right."""
    elements: dict[int, bytes] = {}

    def put(tag: int, vr: str, value: bytes, undefined: bool = False) -> None:
        elements[tag] = raw_element(tag, vr, value, implicit, undefined)

    if draw(st.integers(0, 3)) == 0:
        put(0x00080005, "CS", draw(st.sampled_from(CHARSETS)))
    if draw(st.booleans()):
        put(0x00280103, "US", draw(st.sampled_from([b"\0\0", b"\1\0", b"\2\0", b"", b"\1\0\0\0"])))
    for tag, vr in draw(
        st.lists(st.sampled_from([*TEXTS.items(), *NUMBERS.items(), *BULK.items()]), max_size=6)
    ):
        value = draw(VALUES)
        if vr not in TEXTS.values() and draw(st.integers(0, 9)):
            value = value[: len(value) // 8 * 8] or b"\1\0\0\0\0\0\0\0"
        other = draw(st.integers(0, 12))
        vr = {0: "UN", 1: draw(st.sampled_from(sorted(LONG | {"CS", "US", "FD"})))}.get(other, vr)
        if vr != "SQ" and not (tag == 0x7FE00010 and not depth):
            put(tag, vr, value)
    for group in draw(st.lists(st.sampled_from([0x0009, 0x0019, 0x0029, 0x2005]), max_size=2)):
        for block in draw(st.lists(st.sampled_from([0x10, 0x11, 0xE0]), max_size=2)):
            if draw(st.integers(0, 5)):
                vr = draw(st.sampled_from(["LO", "LO", "UN", "SH"]))
                put(group << 16 | block, vr, draw(st.sampled_from(CREATORS)))
            for low in draw(st.lists(st.sampled_from([0x08, 0x0C, 0x10, 0x20, 0x31]), max_size=3)):
                vr = draw(st.sampled_from(["LO", "UN", "UN", "IS", "OB", "US", "SQ"]))
                value = draw(VALUES)
                if vr == "SQ":
                    value = draw(items(implicit, depth + 1, False))
                put(group << 16 | block << 8 | low, vr, value)
    if draw(st.integers(0, 8)) == 0:
        put(draw(st.sampled_from([0x00090000, 0x00080000, 0x00090123, 0x00191234, 0x00101111])),
            draw(st.sampled_from(["UL", "UN", "LO"])), draw(VALUES))  # fmt: skip
    if depth < 3:
        for tag in draw(st.lists(st.sampled_from(SEQUENCES), max_size=2)):
            undefined = draw(st.booleans())
            as_un = draw(st.integers(0, 6)) == 0
            inner = implicit or draw(st.integers(0, 6)) == 0
            put(tag, "UN" if as_un else "SQ", draw(items(inner, depth + 1, undefined)), undefined)
    return b"".join(elements[tag] for tag in sorted(elements))


@st.composite
def items(draw: Any, implicit: bool, depth: int, undefined: bool) -> bytes:
    parts = []
    for _ in range(draw(st.integers(0, 2))):
        data = draw(datasets(implicit, depth))
        if draw(st.booleans()):
            parts += [b"\xfe\xff\x00\xe0" + struct.pack("<L", len(data)), data]
        else:
            parts += [b"\xfe\xff\x00\xe0\xff\xff\xff\xff", data, b"\xfe\xff\x0d\xe0\0\0\0\0"]
    if undefined:
        parts.append(b"\xfe\xff\xdd\xe0\0\0\0\0")
    return b"".join(parts)


@st.composite
def made_up(draw: Any) -> bytes:
    implicit = draw(st.booleans())
    data = raw_element(0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.2\0", implicit)
    data = draw(datasets(implicit)) if draw(st.integers(0, 9)) else data
    end = draw(st.integers(0, 3))
    if end == 1:
        data += raw_element(0x7FE00010, "OW", bytes(16), implicit)
    elif end == 2 and not implicit:
        data += raw_element(0x7FE00010, "OB", b"", False, True) + (
            b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\4\0\0\0abcd\xfe\xff\xdd\xe0\0\0\0\0"
        )
    if end and draw(st.booleans()):
        data += raw_element(0xFFFCFFFC, "OB", b"\0\0", implicit)
    return part10(ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian, data)


SLOW = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
