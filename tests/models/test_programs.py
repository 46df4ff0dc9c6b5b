"""Verdicts on the spacing of series against the programs that they are named for."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from places import ROOT
from pydicom.uid import ExplicitVRLittleEndian
from stacks import Image, axial, numbered, stepped, tilted, times, without, write_series

import dicomhouse
from dicomhouse.reader import Warehouse
from dicomhouse.run.build import build_direct
from dicomhouse.settings import Settings

PYTHON = ROOT / ".venv-programs/bin/python"
ASK = ROOT / "tests" / "lib" / "programs.py"

REAL = (
    "covid_ny_sbu", "dcm_qa_ct", "dcm_qa_nih", "dicom2nifti", "lidc_headers", "lidc_small",
    "pacsman", "tcga_lihc_mr",
)  # fmt: skip


def by_position(images: list[Image]) -> list[Image]:
    return sorted(images, key=lambda image: float(image["ImagePositionPatient"][2]))


MADE = {
    "even": axial(range(8)),
    "even_downwards": axial(range(8, 0, -1)),
    "three": axial([0, 2.5, 5]),
    "off_by_40e-6": stepped(2, 2.0001, 2, 2, 2),
    "off_by_240e-6": stepped(2, 2.0006, 2, 2, 2),
    "off_by_0.005": stepped(2, 2.005, 2, 2, 2),
    "off_by_0.015": stepped(2, 2.015, 2, 2, 2),
    "off_by_0.1": stepped(2, 2.1, 2, 2, 2),
    "off_by_0.15": stepped(2, 2.15, 2, 2, 2),
    "off_by_0.18": stepped(2, 2.18, 2, 2, 2),
    "off_by_0.22": stepped(2, 2.22, 2, 2, 2),
    "off_by_0.4": stepped(2, 2.4, 2, 2, 2),
    "nearer_by_0.18": stepped(2, 1.82, 2, 2, 2),
    "nearer_by_0.4": stepped(2, 1.6, 2, 2, 2),
    "first_by_0.15": stepped(2.15, 2, 2, 2, 2),
    "first_by_0.4": stepped(2.4, 2, 2, 2, 2),
    "last_by_0.4": stepped(2, 2, 2, 2, 2.4),
    "fine_by_0.04": stepped(0.5, 0.5, 0.54, 0.5),
    "fine_by_0.11": stepped(0.5, 0.5, 0.61, 0.5),
    "fine_by_0.25": stepped(0.5, 0.5, 0.75, 0.5),
    "thick_by_0.15": stepped(10, 10, 10.15, 10),
    "thick_by_0.25": stepped(10, 10, 10.25, 10),
    "thick_by_0.65": stepped(10, 10, 10.65, 10),
    "thick_by_1.1": stepped(10, 10, 11.1, 10),
    "jitter": stepped(3, 3.004, 2.996, 3.002, 2.998, 3),
    "drift": stepped(*(3 + 0.01 * k for k in range(10))),
    "two_spacings": stepped(2, 2, 2, 5, 5, 5),
    "slice_missing": without(axial(range(8)), 3),
    "second_missing": without(axial(range(8)), 1),
    "several_missing": without(axial(range(12)), 3, 4, 8),
    "sheared": tilted(10),
    "sheared_a_little": tilted(2, spacing=2),
    "sheared_slice_missing": without(tilted(10), 4),
    "times": numbered(times(axial(range(6)))),
    "times_by_position": numbered(by_position(times(axial(range(6))))),
    "times_slice_missing": numbered(times(without(axial(range(8)), 3))),
    "times_incomplete": numbered(times(axial(range(6)))[:-1]),
    "one_repeated": numbered([*axial(range(6)), axial(range(6))[3]]),
    "one_repeated_within": numbered([*axial(range(4)), *axial(range(6))[3:]]),
    "all_repeated": numbered(axial(range(6)) * 2),
}  # fmt: skip

EXPLAINED = {
    # It takes times apart by instance numbers that go through one time after the other.
    ("times_by_position", "dicom2nifti"): ("passes", "NOT_A_VOLUME"),
}


def write_real(source: Path, target: Path) -> None:
    """Copies of a folder's single-frame images, each once, with 4 x 4 pixels: a folder a series."""
    for path in sorted(source.rglob("*")):
        if not path.is_file():
            continue
        dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        if "ImagePositionPatient" not in dataset or "NumberOfFrames" in dataset:
            continue
        folder = target / f"{source.name}_{str(dataset.SeriesInstanceUID)[-12:]}"
        folder.mkdir(parents=True, exist_ok=True)
        number = len(list(folder.iterdir()))
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.Rows = dataset.Columns = 4
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit = 15
        dataset.add_new("PixelData", "OW", bytes([number % 256]) * 32)
        dataset.save_as(folder / dataset.SOPInstanceUID, enforce_file_format=True)


@pytest.fixture(scope="module")
def folders(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("series") / "cohort"
    for name, images in MADE.items():
        # Programs leave out what has position and pixels of another.
        write_series(
            root / name,
            [
                image | {"PixelData": bytes([n]) * 512, "RepetitionTime": 9, "EchoTime": 4}
                for n, image in enumerate(images)
            ],
        )
    for name in REAL:
        write_real(shared_data / name, root)
    return root


@pytest.fixture(scope="module")
def warehouse(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    target = tmp_path_factory.mktemp("programs") / "w"
    build_direct(Settings((str(folders),), target), lambda line: None)
    with dicomhouse.open(target) as opened:
        yield opened


def test_verdicts_on_spacing_are_those_of_the_programs(warehouse: Warehouse, folders: Path) -> None:
    if not PYTHON.exists():
        pytest.skip("no .venv-programs: make .venv-programs/.installed")
    rows = warehouse.sql(
        """
        select series.folder, tolerances.program, bool_and(tolerances.passes) as passes
        from series_tolerances as tolerances
        inner join series using (source, series_key)
        inner join series_geometry as stacks using (source, series_key)
        group by series.folder, tolerances.program
        having count(distinct stacks.stack) = 1 and max(stacks.positions) > 2
        """
    ).rows()
    ours: dict[str, dict[str, str]] = {}
    for folder, program, passes in rows:
        ours.setdefault(folder, {})[program] = "passes" if passes else "fails"
    asked = subprocess.run(
        [PYTHON, ASK, *(folders / name for name in ours)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    differences = {
        (name, program): (ours[name][program], verdict)
        for name, line in zip(ours, asked.splitlines(), strict=True)
        for program, verdict in json.loads(line).items()
        if ours[name][program] != verdict
    }
    assert len(ours) >= 40 and set(MADE) <= set(ours)
    assert differences == EXPLAINED
