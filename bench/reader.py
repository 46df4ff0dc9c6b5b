"""How fast headers are read: the walker, the walker to Parquet, and the usual loop over pydicom.

All in one run, on one core, over the same files, which lie in the page cache. Each way is timed
several times in turn, and its best time counts.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from io import FileIO
from pathlib import Path

import pydicom

from dicomhouse.dicom.elements import Headers
from dicomhouse.dicom.walk import Walker
from dicomhouse.lake.parts import FileFacts, write_part
from dicomhouse.testing import build_cohort


def walk(paths: Sequence[str]) -> tuple[Headers, Walker]:
    headers = Headers()
    walker = Walker(headers)
    for path in paths:
        with FileIO(path) as stream:
            walker.read(stream)
    return headers, walker


def to_parquet(paths: Sequence[str]) -> None:
    headers, _ = walk(paths)
    facts = [FileFacts(path.lstrip("/"), 0, 0) for path in paths]
    with tempfile.TemporaryDirectory() as lake:
        write_part(Path(lake), "part", "bench", "run", facts, headers)


def pydicom_loop(paths: Sequence[str]) -> None:
    """What a careful script does: every element's value of every file, nested ones too."""
    for path in paths:
        with contextlib.suppress(pydicom.errors.InvalidDicomError):
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
            for element in (*dataset.file_meta, *dataset.iterall()):
                element.value  # noqa: B018


def best(repeats: int, run: Callable[[], object]) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(name: str, paths: Sequence[str], repeats: int, slow: int) -> None:
    for path in paths:
        Path(path).read_bytes()
    headers, walker = walk(paths)
    some = paths[:: max(1, len(paths) // slow)]
    per_file = {
        "pydicom loop": best(repeats, lambda: pydicom_loop(some)) / len(some),
        "walker": best(repeats, lambda: walk(paths)) / len(paths),
        "to Parquet": best(repeats, lambda: to_parquet(paths)) / len(paths),
    }
    print(
        f"{name}: {len(paths)} files, {len(headers.codes) / len(paths):.0f} elements each, "
        f"{walker.fallbacks} by the reference reader"
    )
    base = per_file["pydicom loop"]
    for way, seconds in per_file.items():
        print(f"  {way:13}{1 / seconds:9.0f} files/s {base / seconds:6.1f} x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--osic", type=int, default=7500, help="images like those of OSIC")
    parser.add_argument("--hospital", type=int, default=3000, help="images like a hospital's")
    parser.add_argument("--folder", type=Path, action="append", default=[], help="real files")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--slow", type=int, default=500, help="files of the pydicom loop")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    warnings.simplefilter("ignore")
    pydicom.config.logger.setLevel("CRITICAL")
    with tempfile.TemporaryDirectory() as folder:
        sets: list[tuple[str, Path]] = []
        for profile, images, series in (
            ("osic", options.osic, 1),
            ("hospital", options.hospital, 3),
        ):
            if images:
                slices = 100
                cohort = Path(folder) / profile
                build_cohort(
                    cohort,
                    patients=max(1, images // (slices * series)),
                    slices=slices,
                    profile=profile,
                )
                sets.append((profile, cohort))
        for name, root in (*sets, *((path.name, path) for path in options.folder)):
            paths = sorted(str(path) for path in root.rglob("*") if path.is_file())
            measure(name, paths, options.repeats, options.slow)


if __name__ == "__main__":
    main()
