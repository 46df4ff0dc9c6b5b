"""Cohorts of real files on disk for the benchmarks, of any size."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from random import Random

from dicomhouse.testing import build_cohort

PART_IMAGES = 10_000


def files(folder: Path) -> list[Path]:
    """All files below a folder, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def part_sizes(images: int) -> Iterator[int]:
    """How many images each part has, so that there are about `images` in all."""
    parts = max(1, round(images / PART_IMAGES))
    return repeat(round(images / parts), parts)


def write_osic_part(folder: Path, number: int, images: int) -> None:
    """Headers of about `images` images, in series of 30 to 350 like those of OSIC.

    Patients of parts with different numbers are different, and so are their folders.
    """
    slices = min(images, Random(number).randrange(30, 350))
    patients = round(images / slices)
    build_cohort(folder, patients=patients, slices=slices, seed=number, pixels=False)


def write_osic(folder: Path, images: int, jobs: int) -> None:
    """An OSIC-like cohort of header-only files: a folder a patient, a million in minutes."""
    folder.mkdir(parents=True)
    sizes = list(part_sizes(images))
    with ProcessPoolExecutor(jobs) as pool:
        list(pool.map(_add_part, repeat(folder), range(len(sizes)), sizes))


def _add_part(folder: Path, number: int, images: int) -> None:
    part = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
    write_osic_part(part, number, images)
    for patient in part.iterdir():
        patient.rename(folder / patient.name)
    part.rmdir()


def main() -> None:
    parser = argparse.ArgumentParser(description="Write an OSIC-like cohort of header-only files.")
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--images", type=int, default=33_000, help="about how many")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes that write")
    options = parser.parse_args()
    try:
        write_osic(options.folder, options.images, options.jobs)
    except BaseException:
        shutil.rmtree(options.folder, ignore_errors=True)
        raise


if __name__ == "__main__":
    main()
