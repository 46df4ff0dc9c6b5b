"""Tilt and spacing of real series against what dcm2niix measures."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from building import build_tables

import dicomhouse
from dicomhouse.reader import Warehouse
from dicomhouse.settings import Settings

FOLDERS = {
    "tilted_without_tag": "dicom2nifti/failing/gantrytilting/001",
    "tilted_and_uneven": "dcm_qa_ct/S3010_10slices",
    "uneven": "dicom2nifti/failing/sliceincrement/001",
    "even": "tcga_lihc_mr",
    "oblique": "dicom2nifti/hitachi/anatomical/001",
}


@pytest.fixture(scope="module")
def dcm2niix() -> str:
    beside = Path(sys.executable).with_name("dcm2niix")
    program = str(beside) if beside.exists() else shutil.which("dcm2niix")
    if program is None:
        pytest.skip("no dcm2niix: pip install dcm2niix")
    return program


@pytest.fixture(scope="module")
def warehouse(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    folder = tmp_path_factory.mktemp("dcm2niix") / "w"
    sources = tuple(f"{name}={shared_data / path}" for name, path in FOLDERS.items())
    build_tables(Settings(sources, folder), ["series_geometry"])
    with dicomhouse.open(folder) as opened:
        yield opened


def measured(program: str, folder: Path, target: Path) -> tuple[float, list[float]]:
    """Tilt in degrees and steps between the slices in mm, by dcm2niix's own words."""
    words = subprocess.run(
        [program, "-b", "n", "-v", "1", "-f", "volume", "-o", str(target), str(folder)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    tilt = re.search(r"estimated from slice vector (\S+)", words)
    distances = re.search(r"dx=\[(.+?)\]", words)
    header = (target / "volume.nii").read_bytes()[:348]
    slices, spacing = struct.unpack_from("<h", header, 46)[0], struct.unpack_from("<f", header, 88)
    if distances:
        places = [float(place) for place in distances[1].split()]
    else:
        places = [spacing[0] * place for place in range(slices)]
    steps = [after - before for before, after in pairwise(places)]
    return abs(float(tilt[1])) if tilt else 0.0, steps


@pytest.mark.parametrize("name", FOLDERS)
def test_tilt_and_spacing_agree_with_dcm2niix(
    name: str, dcm2niix: str, warehouse: Warehouse, shared_data: Path, tmp_path: Path
) -> None:
    tilt, steps = measured(dcm2niix, shared_data / FOLDERS[name], tmp_path)
    (ours,) = warehouse.sql(f"from series_geometry where source = '{name}'").to_dicts()
    assert ours["positions"] == len(steps) + 1 > 3
    assert ours["shear_degrees"] == pytest.approx(tilt, abs=0.1)
    assert ours["spacing_min"] == pytest.approx(min(steps), abs=0.01)
    assert ours["spacing_max"] == pytest.approx(max(steps), abs=0.01)
    assert ours["spacing_median"] == pytest.approx(sorted(steps)[(len(steps) - 1) // 2], abs=0.01)
    assert (tilt > 1) == name.startswith("tilted")
    assert (max(steps) - min(steps) > 1) == name.endswith("uneven")
