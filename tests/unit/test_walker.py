"""The fast reader gives what the reference reader gives, on real, made-up and broken files."""

from __future__ import annotations

import gzip
import importlib.util
import io
from functools import cache
from pathlib import Path

import fuzz
import pytest
from headers import encode
from hypothesis import given, settings
from hypothesis import strategies as st
from places import PYDICOM_DATA, shared_folder
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from walking import (
    SLOW,
    Read,
    assert_equal,
    assert_same,
    by_reference,
    by_walker,
    made_up,
)

from dicomhouse.dicom.bounds import Bounds
from dicomhouse.dicom.elements import Headers
from dicomhouse.dicom.walk import Walker
from dicomhouse.testing import build_cohort
from dicomhouse.testing.raw import part10, raw_element, raw_item

REAL = sorted(path for path in PYDICOM_DATA.rglob("*") if path.is_file())
SIZES = (1, 13, 137, 200, 333, 1000, 4096)


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
