"""The mart `pixel_stats`: measured once, taken over, taken up; and the rules that stand on it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from building import build_tables

import dicomhouse
from dicomhouse.pixels import statistics
from dicomhouse.run import build as steps
from dicomhouse.run import pixels
from dicomhouse.run.build import build_direct
from dicomhouse.settings import Settings
from dicomhouse.testing import write_image

PICTURES = [np.arange(256, dtype="<u2") * n % 4096 for n in (3, 5, 7, 11)]


def build(settings: Settings, *tables: str) -> list[str]:
    """One run that makes `pixel_stats` and these tables; what it says of pixels."""
    told: list[str] = []
    build_tables(settings, ("pixel_stats", *tables), told.append)
    return [line for line in told if line.endswith("files to decode")]


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with dicomhouse.open(folder) as warehouse:
        return warehouse.sql(query).rows()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for number, picture in enumerate(PICTURES[:2], 1):
        write_image(tmp_path / "in" / f"{number}.dcm", InstanceNumber=number,
                    PixelData=picture.tobytes())  # fmt: skip
    return Settings((str(tmp_path / "in"),), tmp_path / "w", pixels=True, jobs=1)


def test_only_new_and_changed_files_are_measured(settings: Settings, tmp_path: Path) -> None:
    query = "select path, mean, digest from pixel_stats order by path"
    assert build(settings) == ["pixels: 2 files to decode"]
    first = rows(settings.warehouse, query)
    assert [row[1] for row in first] == [PICTURES[n].mean() - 1024 for n in (0, 1)]
    assert build(settings) == []
    write_image(tmp_path / "in" / "3.dcm", InstanceNumber=3, PixelData=PICTURES[2].tobytes())
    assert build(replace(settings, pixels=False)) == []  # nobody asked
    assert rows(settings.warehouse, query) == first
    assert build(settings) == ["pixels: 1 files to decode"]
    write_image(tmp_path / "in" / "1.dcm", InstanceNumber=1, PixelData=PICTURES[3].tobytes())
    os.utime(tmp_path / "in" / "1.dcm", (1, 1))
    assert build(settings) == ["pixels: 1 files to decode"]
    after = rows(settings.warehouse, query)
    assert [row[1] for row in after] == [PICTURES[n].mean() - 1024 for n in (3, 1, 2)]
    (tmp_path / "in" / "2.dcm").unlink()
    assert build(settings) == []
    assert rows(settings.warehouse, query) == [after[0], after[2]]
    assert build(replace(settings, full_refresh=True)) == ["pixels: 2 files to decode"]


def test_run_that_ended_has_measured_for_the_next(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*given: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(steps, "transform", stop)
        build(settings)
    assert build(settings) == []
    assert rows(settings.warehouse, "select count(digest) from pixel_stats") == [(2,)]


def die(images: list[statistics.Image]) -> list[tuple[int, statistics.Row]]:
    """In a worker: as a decoder that ends its process at one file."""
    if any(image.file.endswith("2.dcm") for image in images):
        os._exit(11)
    return statistics.measure_all(images)


@pytest.mark.parametrize(("jobs", "batch"), [(1, 64), (2, 1), (2, 2)])
def test_decoder_that_ends_its_process_is_a_finding_of_its_file_alone(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int, batch: int
) -> None:
    write_image(tmp_path / "in" / "3.dcm", InstanceNumber=3, PixelData=PICTURES[2].tobytes())
    monkeypatch.setattr(statistics, "measure_all", die)
    monkeypatch.setattr(pixels, "_BATCH", batch)
    build(replace(settings, jobs=jobs), "series_checks")
    found = rows(
        settings.warehouse, "select path, problem, digest is null from pixel_stats order by 1"
    )
    assert found == [
        ("1.dcm", None, False), ("2.dcm", "undecodable", True), ("3.dcm", None, False),
    ]  # fmt: skip
    (told,) = rows(
        settings.warehouse,
        "select message, status from series_checks where rule = 'pixels_undecodable'",
    )
    assert told == ("1 frame of 3: the decoder ended its process, or took too long", "fail")


def test_statistics_are_those_of_the_volume(shared_data: Path, tmp_path: Path) -> None:
    build_direct(
        Settings((str(shared_data / "lidc_small"),), tmp_path / "w", pixels=True),
        lambda line: None,
    )
    with dicomhouse.open(tmp_path / "w") as warehouse:
        (series,) = warehouse.sql("select series_key from series").rows()[0]
        volume = warehouse.volume(series)
        measured = warehouse.sql(
            "select path, minimum, maximum, mean, p50, brain_share from pixel_stats"
        ).rows_by_key("path", unique=True)
        for place, values in zip(volume.frames, volume.array.astype(float), strict=True):
            (row,) = (row for path, row in measured.items() if place.file.endswith(path))
            brain = np.mean((values >= 0) & (values <= 80))
            expected = (values.min(), values.max(), values.mean(), np.median(values), brain)
            assert row == pytest.approx(expected)


# Each case: images of one series, and the rules of pixels that fail with what they say.
OTHER = {"PixelData": PICTURES[2].tobytes(), "InstanceNumber": 2}
CASES: dict[str, tuple[list[dict[str, Any]], dict[str, tuple[str, str]]]] = {
    "clean": ([{"PixelData": PICTURES[0].tobytes()}, OTHER], {}),
    "undecodable": (
        [{"PixelData": bytes(100)}, OTHER],
        {"pixels_undecodable": ("E", "1 frame of 2: cannot be decoded: ")},
    ),
    "identical": (
        [{"PixelData": PICTURES[2].tobytes()}, OTHER],
        {"identical_pixels": ("W", "2 files with a picture that other instances have")},
    ),
    "identical across patients": (
        [{"PixelData": PICTURES[2].tobytes(), "PatientID": "A"}, OTHER | {"PatientID": "B"}],
        {"identical_pixels": ("E", "1 file with a picture that other instances have, of 2")},
    ),
    "blank": (
        [{"PixelData": bytes(512)}, OTHER],
        {"blank_image": ("W", "all pixels are of one value")},
    ),
    "blank but for padding": (
        [{"PixelData": bytes(256) + b"\1\0" * 128, "PixelPaddingValue": 1}, OTHER],
        {"blank_image": ("W", "all pixels are of one value")},
    ),
    "limits named": (
        [
            {"PixelData": PICTURES[0].tobytes(), "SmallestImagePixelValue": 0,
             "LargestImagePixelValue": 765},
            OTHER | {"LargestImagePixelValue": 7},
        ],
        {"pixel_value_tags_mismatch": ("I", "SmallestImagePixelValue or LargestImage")},
    ),
    "limits without padding": (
        [
            {"PixelData": PICTURES[0].tobytes(), "SmallestImagePixelValue": 3,
             "PixelPaddingValue": 0},
            OTHER,
        ],
        {},
    ),
    "limits of another sign": (
        [
            {"PixelData": (PICTURES[0].astype("<i2") - 300).tobytes(), "PixelRepresentation": 1,
             "SmallestImagePixelValue": b"\xd4\xfe", "LargestImagePixelValue": b"\xd1\x01"},
            OTHER,
        ],
        {},
    ),
    "limits of all frames": (
        [
            {"PixelData": PICTURES[0].tobytes() + PICTURES[1].tobytes(), "NumberOfFrames": "2",
             "SmallestImagePixelValue": 0, "LargestImagePixelValue": 1275},
            OTHER,
        ],
        {},
    ),
    "padding that is not there": (
        [{"PixelData": PICTURES[0].tobytes(), "PixelPaddingValue": 4095}, OTHER],
        {"pixel_value_tags_mismatch": ("I", "PixelPaddingValue 4095 stands in no pixel")},
    ),
    "bits beyond": (
        [{"PixelData": (PICTURES[0] + 0x1000).tobytes()}, OTHER],
        {"values_beyond_bits_stored": ("W", "values that BitsStored cannot hold")},
    ),
    "intercept that the values bear out": (
        [{"PixelData": PICTURES[0].tobytes(), "RescaleIntercept": "0"},
         OTHER | {"RescaleIntercept": "0"}],
        {"suspicious_rescale": ("W", "RescaleIntercept 0 in CT of 12 unsigned bits: air would not "
                                "be near -1000, and no pixel is below 0")},
    ),
}  # fmt: skip
RULES = (
    "pixels_undecodable", "pixel_shape_mismatch", "identical_pixels", "blank_image",
    "pixel_value_tags_mismatch", "values_beyond_bits_stored", "suspicious_rescale",
)  # fmt: skip


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse of all cases, each a source with pictures that no other has."""
    root = tmp_path_factory.mktemp("cases")
    for place, (name, (images, _)) in enumerate(CASES.items()):
        for number, image in enumerate(images, 1):
            own = {"PatientID": f"P{place}", "InstanceNumber": number}
            pixels = image["PixelData"]
            turned = pixels[2 * place :] + pixels[: 2 * place]
            write_image(root / name / f"{number}.dcm", **own | image | {"PixelData": turned})
    sources = tuple(f"{name}={root / name}" for name in CASES)
    build(Settings(sources, root / "w", pixels=True, jobs=1), "series_checks")
    return root / "w"


@pytest.mark.parametrize("name", CASES)
def test_case_fails_the_named_rules_and_no_others(judged: Path, name: str) -> None:
    found = rows(
        judged,
        "select rule, severity, message from series_checks where status = 'fail' "
        f"and source = '{name}' and rule in {RULES} order by all",
    )
    expected = CASES[name][1]
    assert {rule for rule, _, _ in found} == set(expected)
    for rule, severity, message in found:
        assert severity == expected[rule][0]
        assert message.startswith(expected[rule][1]), message


def test_without_measured_pixels_no_rule_of_them_is_judged(tmp_path: Path) -> None:
    write_image(tmp_path / "in" / "1.dcm", PixelData=bytes(100))
    build(Settings((str(tmp_path / "in"),), tmp_path / "w"), "series_checks")
    found = rows(
        tmp_path / "w",
        f"select distinct status from series_checks where rule in {RULES} "
        "and rule <> 'suspicious_rescale'",
    )
    assert found == [("not_applicable",)]
