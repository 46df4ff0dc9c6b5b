"""A whole build from sources of several kinds: what tables, volumes and status say of them."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from commands import run_cli
from places import PYDICOM_DATA
from stacks import axial, write_series

import dicomhouse
from dicomhouse.reader import Warehouse
from dicomhouse.run.build import build_direct
from dicomhouse.settings import Settings

KINDS = ("1.2.3.1", "1.2.3.2", "1.2.3.3")
"""Series of the same pixels: in an archive in a folder, in an archive, and in a list."""


def pack(folder: Path, archive: Path) -> None:
    if archive.name.endswith(".zip"):
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in folder.iterdir():
                packed.write(path, f"patient/{path.name}")
    else:
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(folder, "patient")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse `w` of a folder that has a DICOMDIR and an archive, an archive, and a list."""
    root = tmp_path_factory.mktemp("kinds")
    for study in ("77654033", "98892001", "98892003"):
        shutil.copytree(PYDICOM_DATA / "test_files" / "dicomdirtests" / study, root / "cd" / study)
    shutil.copy(PYDICOM_DATA / "test_files" / "dicomdirtests" / "DICOMDIR", root / "cd")
    removed = sorted((root / "cd" / "98892003").rglob("*"))[-1]
    removed.unlink()
    (root / "cd" / ".DS_Store").touch()
    for name in KINDS:
        pixels = np.random.default_rng(7).integers(0, 4096, (5, 8, 8), np.uint16)
        images = [
            image
            | {"Rows": 8, "Columns": 8, "PixelData": plane.tobytes(), "SeriesInstanceUID": name}
            for image, plane in zip(axial(range(5)), pixels, strict=True)
        ]
        write_series(root / name, images)
    pack(root / KINDS[0], root / "cd" / "ct.tar.gz")
    pack(root / KINDS[1], root / "ct.zip")
    shutil.move(root / KINDS[2], root / "plain")
    (root / "chosen").write_text("plain\n")
    sources = (str(root / "cd"), f"packed={root / 'ct.zip'}", f"@{root / 'chosen'}")
    build_direct(Settings(sources, root / "w", jobs=1, pixels=True), lambda line: None)
    return root


@pytest.fixture(scope="module")
def warehouse(folder: Path) -> Iterator[Warehouse]:
    with dicomhouse.open(folder / "w") as opened:
        yield opened


def test_sources_say_what_they_are_and_where(folder: Path, warehouse: Warehouse) -> None:
    rows = warehouse.sql("select source, kind, address, images from sources order by source").rows()
    assert rows == [
        ("cd", "folder", str(folder / "cd"), 35),
        ("chosen", "list", str(folder / "plain"), 5),
        ("packed", "archive", str(folder / "ct.zip"), 5),
    ]


def test_dicomdir_that_names_a_file_which_is_gone_is_a_finding(warehouse: Warehouse) -> None:
    ((subject, severity, n, offenders, message),) = warehouse.sql("""
        select subject, severity, n_offenders, offenders, message from findings
        where rule = 'dicomdir_file_missing'
    """).rows()
    assert (subject, severity, n) == ("DICOMDIR", "W", 1)
    assert offenders[0].startswith("98892003/")
    assert message == "1 of 31 files that the DICOMDIR names is not there"


def test_series_is_the_same_volume_wherever_it_lies(warehouse: Warehouse) -> None:
    packed, zipped, plain = map(warehouse.volume, KINDS)
    assert packed.array.shape == (5, 8, 8)
    assert np.array_equal(packed.array, plain.array)
    assert np.array_equal(zipped.array, plain.array)


def test_pixels_of_archives_are_measured_as_those_of_folders(warehouse: Warehouse) -> None:
    rows = warehouse.sql("""
        select source, list(digest order by path) as digests from pixel_stats
        where series_key in (select series_key from series where SeriesInstanceUID like '1.2.3.%')
        group by source
    """).rows()
    assert len(rows) == 3 and len({str(digests) for _, digests in rows}) == 1


def test_page_of_a_run_that_measures_pixels_has_pictures(warehouse: Warehouse) -> None:
    pytest.importorskip("PIL")
    ((volumes,),) = warehouse.sql("select count(*) from series where is_volume").rows()
    page = (warehouse.generation.report / "index.html").read_text()
    assert volumes > len(KINDS)
    assert page.count("data:image/webp") == 2 * volumes  # mid planes and a montage


def test_two_members_of_archives_can_be_compared(folder: Path) -> None:
    members = [str(folder / "ct.zip" / "patient" / name) for name in ("IM0000", "IM0001")]
    done = run_cli("diff", *members)
    assert done.returncode == 0 and "ImagePositionPatient" in done.stdout


def test_status_says_what_was_passed_over(folder: Path) -> None:
    done = run_cli("status", "--warehouse", str(folder / "w"))
    assert "passed_over  1 in cd\n" in done.stdout
