"""Statistics of pixels: NumPy's own, from a histogram; and rows with a reason for broken pixels."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from dicomhouse.pixels import statistics
from dicomhouse.pixels.slices import linear
from dicomhouse.pixels.statistics import PERCENTILES, Image, digest, measure, of_values
from dicomhouse.testing import write_image

INTEGERS = st.sampled_from(["u1", "i1", "<u2", "<i2", "<u4", "<i4"])
SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, max_side=9)


def image(path: Path, **others: Any) -> Image:
    """What a build would know of a file, from pydicom."""
    dataset = pydicom.dcmread(path, force=True)
    plain = {
        "rows": "Rows", "columns": "Columns", "samples": "SamplesPerPixel",
        "frames": "NumberOfFrames", "bits_allocated": "BitsAllocated",
        "bits_stored": "BitsStored", "slope": "RescaleSlope", "intercept": "RescaleIntercept",
        "padding": "PixelPaddingValue", "padding_limit": "PixelPaddingRangeLimit",
    }  # fmt: skip
    known = {name: dataset.get(keyword) for name, keyword in plain.items()}
    known["slope"], known["intercept"] = (
        None if known[name] is None else float(known[name]) for name in ("slope", "intercept")
    )
    return Image(
        file=str(path), size_bytes=path.stat().st_size,
        syntax=str(dataset.file_meta.get("TransferSyntaxUID") or ""),
        is_signed=dataset.get("PixelRepresentation") == 1, is_ct=dataset.get("Modality") == "CT",
        is_simple="NumberOfFrames" not in dataset, pixel_bytes=len(dataset.PixelData),
        **{**known, **others},
    )  # fmt: skip


@given(
    stored=INTEGERS.flatmap(lambda dtype: arrays.arrays(dtype, SHAPES)),
    slope=st.sampled_from([1.0, 0.5, -2.0]),
)
def test_statistics_are_numpys(stored: Any, slope: float) -> None:
    row = of_values(stored, to_output=linear(slope, -7.0))
    values = stored.astype(np.float64) * slope - 7.0
    spread = max(1.0, float(np.ptp(values)))
    expected = {
        "minimum": values.min(), "maximum": values.max(), "mean": values.mean(),
        "standard_deviation": values.std(),
        **{f"p{p:02}": np.percentile(values, p) for p in PERCENTILES},
    }  # fmt: skip
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, abs=1e-9 * spread), name
    assert row["n_distinct"] == len(np.unique(values))
    assert (row["stored_minimum"], row["stored_maximum"]) == (stored.min(), stored.max())


@given(stored=arrays.arrays("<i2", SHAPES, elements=st.integers(-5, 5)))
def test_padding_counts_for_its_share_alone(stored: Any) -> None:
    row = of_values(stored, padding=(-2, -1))
    inside = stored[(stored < -2) | (stored > -1)]
    assert row["padding_share"] == pytest.approx(1 - inside.size / stored.size)
    if inside.size:
        assert (row["minimum"], row["maximum"]) == (inside.min(), inside.max())
        assert row["mean"] == pytest.approx(inside.mean())
    else:
        assert "mean" not in row


def test_padding_has_the_sign_of_the_pixels(tmp_path: Path) -> None:
    stored = np.full((16, 16), -2000, "<i2")
    stored[0, 0] = 7
    path = write_image(
        tmp_path / "1.dcm", BitsStored=16, HighBit=15, PixelRepresentation=1,
        PixelData=stored.tobytes(),
    )  # fmt: skip
    for padding in (-2000, 63536):
        (row,) = measure(image(path, padding=padding))
        assert (row["unpadded_minimum"], row["padding_share"]) == (7, 255 / 256)


def test_windows_saturation_and_bits() -> None:
    stored = np.array([[0, 1024, 1064, 1104], [4095, 4095, 0x1000, 0]], "<u2")
    row = of_values(stored, bits_stored=12, to_output=linear(1.0, -1024.0), is_ct=True)
    assert row["brain_share"] == 3 / 8
    assert row["lung_share"] == 6 / 8
    assert (row["n_saturated"], row["n_beyond"]) == (2, 1)
    signed = of_values(np.array([[-2048, 2047, -2049]], "<i2"), bits_stored=12)
    # Twelve bits of -2049 are 2047.
    assert (signed["n_saturated"], signed["n_beyond"]) == (2, 1)


def test_floats_are_measured_without_what_is_no_number() -> None:
    row = of_values(np.array([[0.5, np.nan, 2.5]], "<f4"))
    assert (row["minimum"], row["maximum"], row["n_beyond"]) == (0.5, 2.5, None)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("signed", [0, 1])
def test_values_that_end_a_file_are_what_decoding_gives(
    tmp_path: Path, syntax: str, signed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_image(
        tmp_path / "1.dcm", TransferSyntaxUID=syntax, PixelRepresentation=signed,
        PixelData=bytes(range(256)) * 2,
    )  # fmt: skip
    known = image(path)
    assert statistics._native(known) is not None
    (quick,) = measure(known)
    monkeypatch.setattr(statistics, "_native", lambda image: None)
    (decoded,) = measure(known)
    assert quick == decoded
    assert quick["problem"] is None


def test_pixels_that_do_not_end_the_file_are_found(tmp_path: Path) -> None:
    path = write_image(
        tmp_path / "1.dcm", PixelData=bytes(range(256)) * 2, DataSetTrailingPadding=bytes(600)
    )
    known = image(path)
    assert statistics._native(known) is None
    (row,) = measure(known)
    assert (row["problem"], row["stored_maximum"]) == (None, 4094.0)


def test_digest_is_one_whatever_the_lossless_syntax(tmp_path: Path) -> None:
    import imagecodecs

    stored = (np.arange(256, dtype="<u2") * 13 % 4096).reshape(16, 16)
    written = {
        ExplicitVRLittleEndian: stored.tobytes(),
        ImplicitVRLittleEndian: stored.tobytes(),
        JPEGLSLossless: encapsulate([imagecodecs.jpegls_encode(stored)]),
        JPEG2000Lossless: encapsulate(
            [imagecodecs.jpeg2k_encode(stored, codecformat="j2k", reversible=True, level=0)]
        ),
    }
    rows = {}
    for syntax, data in written.items():
        path = write_image(tmp_path / f"{syntax}.dcm", TransferSyntaxUID=syntax, PixelData=data)
        (rows[syntax],) = measure(image(path))
    plain = pydicom.dcmread(tmp_path / f"{ExplicitVRLittleEndian}.dcm")
    plain.compress(RLELossless)
    plain.save_as(tmp_path / "rle.dcm")
    (rows[RLELossless],) = measure(image(tmp_path / "rle.dcm"))
    assert {row["digest"] for row in rows.values()} == {digest(stored)}
    assert rows[ExplicitVRLittleEndian]["decoder"] is None
    assert rows[JPEG2000Lossless]["decoder"].startswith("pylibjpeg-openjpeg ")
    assert rows[RLELossless]["decoder"].startswith("pylibjpeg-rle ")


BROKEN = {
    "cut": ({"PixelData": bytes(100)}, "undecodable"),
    "no rows": ({"Rows": None}, "undecodable"),
    "bits that are none": ({"BitsAllocated": 17}, "undecodable"),
    "65535 x 65535": ({"Rows": b"\xff\xff", "Columns": b"\xff\xff"}, "undecodable"),
    "a million frames": ({"NumberOfFrames": "1000000"}, "undecodable"),
    "a number that is none": ({"NumberOfFrames": b"1A"}, "undecodable"),
    "a syntax that it has not": (
        {"TransferSyntaxUID": JPEG2000Lossless, "PixelData": encapsulate([b"\xff\x4f\xff\x51"])},
        "undecodable",
    ),
    "a codestream of another size": (
        {
            "TransferSyntaxUID": JPEG2000Lossless,
            "PixelData": encapsulate(
                [bytes.fromhex("ff4fff51002f0000") + b"\0\0\xff\xff" * 2 + bytes(40)]
            ),
        },
        "shape_mismatch",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_pixels_are_a_row_with_a_reason(tmp_path: Path, name: str) -> None:
    overrides, problem = BROKEN[name]
    path = write_image(tmp_path / "1.dcm", **overrides)
    tracemalloc.start()
    rows = list(measure(image(path)))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [(row["frame"], row["problem"]) for row in rows] == [(1, problem)]
    assert rows[0]["reason"]
    assert most < 50 << 20


def test_changed_file_is_told(tmp_path: Path) -> None:
    known = image(write_image(tmp_path / "1.dcm"))
    for path in (known.file, str(tmp_path / "gone.dcm")):
        (row,) = measure(replace(known, file=path, size_bytes=known.size_bytes - 1))
        assert row["problem"] == "undecodable"


def test_frames_behind_a_broken_one_keep_their_scales(tmp_path: Path) -> None:
    import imagecodecs

    stored = np.full((16, 16), 100, "<u2")
    groups = []
    for slope in (3.0, 5.0):
        scale, group = Dataset(), Dataset()
        scale.RescaleSlope, scale.RescaleIntercept = slope, 0
        group.PixelValueTransformationSequence = [scale]
        groups.append(group)
    path = write_image(
        tmp_path / "1.dcm", SOPClassUID=EnhancedCTImageStorage, NumberOfFrames="2",
        PerFrameFunctionalGroupsSequence=groups, TransferSyntaxUID=JPEGLSLossless,
        PixelData=encapsulate([b"\xff\xd8\xff\xd9", imagecodecs.jpegls_encode(stored)]),
    )  # fmt: skip
    broken, whole = measure(image(path))
    assert (broken["frame"], broken["problem"]) == (1, "undecodable")
    assert (whole["frame"], whole["mean"]) == (2, 500)


def test_each_frame_has_its_own_scale(tmp_path: Path) -> None:
    scales = [(2.0, -10.0), (0.5, 7.0)]
    groups = []
    for slope, intercept in scales:
        scale, group = Dataset(), Dataset()
        scale.RescaleSlope, scale.RescaleIntercept = slope, intercept
        group.PixelValueTransformationSequence = [scale]
        groups.append(group)
    path = write_image(
        tmp_path / "1.dcm", SOPClassUID=EnhancedCTImageStorage, NumberOfFrames="2",
        PerFrameFunctionalGroupsSequence=groups, PixelData=bytes(range(16)) * 64,
    )  # fmt: skip
    rows = list(measure(image(path)))
    stored = pydicom.dcmread(path).pixel_array
    assert [row["frame"] for row in rows] == [1, 2]
    for row, frame, (slope, intercept) in zip(rows, stored, scales, strict=True):
        expected = frame * slope + intercept
        assert (row["minimum"], row["maximum"]) == (expected.min(), expected.max())
