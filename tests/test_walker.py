"""The fast reader gives what the reference reader gives, on real, made-up and broken files."""

from __future__ import annotations

import gzip
import importlib.util
import io
import struct
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import fuzz
import pytest
from conftest import PYDICOM_DATA, shared_folder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from test_reader import encode

from dicomhouse.dicom.bounds import Bounds
from dicomhouse.dicom.elements import Element, FileHeader, Headers
from dicomhouse.dicom.reference import read_header
from dicomhouse.dicom.walk import Walker
from dicomhouse.testing import build_cohort
from dicomhouse.testing.raw import part10, raw_element, raw_item

Read = tuple[FileHeader, list[tuple[Element, str]]]

REAL = sorted(path for path in PYDICOM_DATA.rglob("*") if path.is_file())
SIZES = (1, 13, 137, 200, 333, 1000, 4096)


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


@cache
def real_files() -> list[bytes]:
    return [path.read_bytes() for path in REAL]


@cache
def expected() -> list[Read]:
    return [by_reference(data) for data in real_files()]


@pytest.mark.parametrize("first_read", [*SIZES, 8192])
def test_pydicoms_files_are_read_as_the_reference_reads_them(first_read: int) -> None:
    files = real_files()
    order = [*range(len(files)), *reversed(range(len(files)))]
    read, walker = by_walker([files[i] for i in order], first_read)
    for i, ours in zip(order, read, strict=True):
        try:
            assert_same(ours, expected()[i])
        except AssertionError as error:
            raise AssertionError(REAL[i].name) from error
    # Big endian, deflated, no preamble or meta, no DICOM at all: the others are walked.
    assert walker.fallbacks / 2 <= 0.6 * len(files)


@pytest.mark.parametrize(
    ("package", "module", "folder"),
    [("nibabel", "nibabel", "nicom/tests/data"), ("pydicom-data", "data_store", "data")],
)
@pytest.mark.parametrize("first_read", [13, 137, 1000, 8192])
def test_files_of_other_packages_are_read_as_the_reference_reads_them(
    package: str, module: str, folder: str, first_read: int
) -> None:
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{package} is not installed: its DICOM files are not compared")
    root = Path(spec.submodule_search_locations[0]) / folder
    files = [path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()]
    files += [gzip.decompress(data) for data in files if data.startswith(b"\x1f\x8b")]
    assert len(files) > 10
    assert_equal([*files, *files[::-1]], first_read)


def test_shared_studies_are_read_as_the_reference_reads_them() -> None:
    folder = shared_folder()
    if folder is None:
        pytest.skip("no shared studies: set DICOMHOUSE_SHARED_DATA to their folder")
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    headers = Headers()
    walker = Walker(headers)
    order = [*paths, *reversed(paths)]
    for path in order:
        with path.open("rb", buffering=0) as stream:
            walker.read(stream)
    theirs: dict[Path, Read] = {}
    for i, path in enumerate(order):
        if path not in theirs:
            theirs[path] = by_reference(path.read_bytes())
        try:
            assert_same((headers.files[i], list(headers.occurrences(i))), theirs[path])
        except AssertionError as error:
            raise AssertionError(str(path.relative_to(folder))) from error


@pytest.mark.parametrize("profile", ["osic", "hospital"])
@pytest.mark.parametrize("first_read", [500, 8192])
def test_cohorts_are_walked_without_falling_back(
    tmp_path: Path, profile: str, first_read: int
) -> None:
    build_cohort(tmp_path / "c", patients=2, slices=6, profile=profile)
    files = [p.read_bytes() for p in sorted((tmp_path / "c").rglob("*")) if p.is_file()]
    walker = assert_equal([*files, *files[::-1]], first_read)
    assert walker.fallbacks == 0


# Made-up datasets, encoded here: pydicom would correct what a file may hold

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


@settings(SLOW, max_examples=150)
@given(st.lists(made_up(), min_size=1, max_size=4), st.sampled_from([*SIZES, 8192]))
def test_made_up_datasets_are_read_as_the_reference_reads_them(
    files: list[bytes], first_read: int
) -> None:
    assert_equal([*files, *files, *files[::-1]], first_read)


@cache
def seeds() -> list[bytes]:
    """Real headers, small ones first; the pixels do not count."""
    return sorted((d for d in real_files() if d[128:132] == b"DICM"), key=len)[:60]


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom.*")
def test_broken_files_are_read_as_the_reference_reads_them() -> None:
    """A small part of `make fuzz`."""
    for files, first_read in fuzz.rounds(seed=2, files=400):
        fuzz.check(files, first_read)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_every_cut_of_a_header_is_read_as_the_reference_reads_it(syntax: str) -> None:
    whole = encode(syntax, PatientID="P1", PatientComments="x" * 20, Rows=4,
                   BitsAllocated=8, PixelData=b"\0" * 8)  # fmt: skip
    assert_equal([whole, whole, *(whole[:cut] for cut in range(len(whole)))])


def traps() -> dict[str, tuple[str, bytes, bool]]:
    """By name: the syntax, a dataset, and whether the walker reads it itself."""
    explicit, implicit = str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)
    uid = {vr: raw_element(0x00080018, "UI", b"1.2\0", vr) for vr in (False, True)}
    signed = raw_element(0x00280103, "US", b"\1\0", True)
    padding = raw_element(0x00280120, "US", b"\xff\xff", True)
    lut = raw_element(0x00283002, "US", b"\0\1\xff\xff\x10\0", True)
    siemens = b"SIEMENS CSA HEADER"
    known_sequence = raw_element(0x20010010, "LO", b"Philips Imaging DD 001", False) + raw_element(
        0x2001105F, "UN", raw_item(raw_element(0x2001102D, "SS", b"\1\0", True)), False
    )
    pixels = raw_element(0x7FE00010, "OW", bytes(8), False)
    return {
        "private UN": (
            explicit,
            uid[False]
            + raw_element(0x00290010, "LO", siemens, False)
            + raw_element(0x00291008, "UN", b"IMAGE NUM 4 ", False),
            True,
        ),
        "private UN that is a sequence": (explicit, uid[False] + known_sequence, True),
        "creator in two blocks": (
            explicit,
            uid[False]
            + raw_element(0x00290010, "LO", siemens, False)
            + raw_element(0x00290011, "LO", siemens, False)
            + raw_element(0x00291008, "UN", b"IMAGE NUM 4 ", False)
            + raw_element(0x00291108, "UN", b"IMAGE NUM 4 ", False),
            True,
        ),
        "US or SS after its representation": (implicit, uid[True] + signed + padding, True),
        "US or SS without representation": (implicit, uid[True] + padding, True),
        "US or SS below its representation": (
            implicit, uid[True] + signed + raw_element(0x00283000, "SQ", raw_item(lut), True), True,
        ),
        "US or SS beside its own representation": (
            implicit,
            uid[True]
            + raw_element(0x00283000, "SQ", raw_item(signed, lut) + raw_item(lut), True),
            False,
        ),
        "US or SS before its representation": (
            implicit, raw_element(0x00189810, "US", b"\xff\xff", True) + signed, False,
        ),
        "group length of the pixels": (
            explicit, uid[False] + raw_element(0x7FE00000, "UL", bytes(4), False) + pixels, True,
        ),
        "elements after the pixels": (
            explicit,
            uid[False] + pixels
            + raw_element(0x7FE10010, "LO", b"ACME", False)
            + raw_element(0x7FE11001, "LO", b"x ", False)
            + raw_element(0xFFFCFFFC, "OB", bytes(4), False),
            True,
        ),
        "leading blanks": (
            explicit, uid[False] + raw_element(0x00180050, "DS", b" 1", False), True,
        ),
        "out of order": (explicit, pixels + uid[False], False),
        "twice": (explicit, uid[False] + uid[False], False),
        "UN of undefined length": (
            explicit,
            uid[False]
            + raw_element(0x00400275, "UN", b"\xfe\xff\xdd\xe0\0\0\0\0", False, True),
            False,
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", traps())
@pytest.mark.parametrize("first_read", [*SIZES, 8192])
def test_known_traps_are_read_as_the_reference_reads_them(name: str, first_read: int) -> None:
    syntax, dataset, is_walked = traps()[name]
    data = part10(syntax, dataset)
    walker = assert_equal([data, data, data], first_read)
    assert walker.fallbacks == (0 if is_walked else 3)


def test_unbuffered_file_falls_back_too(tmp_path: Path) -> None:
    path = tmp_path / "1"
    path.write_bytes(encode(ExplicitVRLittleEndian)[132:])
    headers = Headers()
    with path.open("rb", buffering=0) as stream:
        Walker(headers).read(stream)
        assert not stream.closed
    assert_same((headers.files[0], list(headers.occurrences(0))), by_reference(path.read_bytes()))


@pytest.mark.parametrize(
    "bounds",
    [Bounds(max_elements=10), Bounds(max_depth=1), Bounds(max_value_bytes=20)],
    ids=["elements", "depth", "value"],
)
def test_bounds_end_files_as_in_the_reference(bounds: Bounds) -> None:
    files = seeds()
    assert_equal([*files, *files], bounds=bounds)


def test_long_value_before_the_pixels_is_not_read() -> None:
    class Counting(io.BytesIO):
        count = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.count += len(data)
            return data

    whole = encode(ICCProfile=b"\0" * (1 << 20), BitsAllocated=8, PixelData=b"\0" * (1 << 20))
    stream = Counting(whole)
    headers = Headers()
    bounds = Bounds(max_value_bytes=1000)
    assert Walker(headers, bounds).read(stream).status == "ok"
    assert stream.count < 40_000
    assert_same((headers.files[0], list(headers.occurrences(0))), by_reference(whole, bounds))
