"""How fast headers are read: the reader, the reader to Parquet, pydicom, and the peers on PyPI.

All in one run, on one core, over the same files, which lie in the page cache. The processor's time
counts, the best of several; two workers against one are timed by the clock, and need idle cores.
A peer or a set that is not there is named.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from io import FileIO
from pathlib import Path
from typing import Any

import cohorts
from peers import (
    READERS,
    be_quiet,
    dicomsdl_loop,
    fw_file_loop,
    is_here,
    notebook_loop,
    pydicom_loop,
)

from dicomhouse.dicom.elements import Headers
from dicomhouse.dicom.walk import Walker
from dicomhouse.lake.extract import extract_batch
from dicomhouse.lake.orders import Batch, FileFacts
from dicomhouse.lake.parts import write_part
from dicomhouse.pools import light_pool
from dicomhouse.testing import build_cohort

BATCH = 10_000
SETS = {"osic": (7500, 100), "hospital": (3000, 300)}
"""By profile, how many images are made, and how many a patient has."""


def read(paths: Sequence[str]) -> tuple[Headers, Walker]:
    """Every element of every file, as the extraction reads them."""
    headers = Headers()
    walker = Walker(headers)
    for path in paths:
        with FileIO(path) as stream:
            walker.read(stream)
    return headers, walker


def to_parquet(paths: Sequence[str]) -> float:
    """The three tables in parts of `BATCH` files. Returns the lake's bytes per image."""
    n_bytes = images = 0
    with tempfile.TemporaryDirectory() as lake:
        for start in range(0, len(paths), BATCH):
            part = paths[start : start + BATCH]
            headers, _ = read(part)
            facts = [FileFacts(path.lstrip("/"), 0, 0) for path in part]
            summary = write_part(Path(lake), f"part-{start}", "bench", "run", facts, headers)
            n_bytes += summary.n_bytes
            images += summary.images
    return n_bytes / max(1, images)


def best(
    repeats: int, run: Callable[[], object], clock: Callable[[], float] = time.process_time
) -> float:
    times = []
    for _ in range(repeats):
        start = clock()
        run()
        times.append(clock() - start)
    return min(times)


def measure(name: str, paths: Sequence[str], repeats: int, slow: int) -> None:
    """Print how many files a second each way reads, and how many times the pydicom loop's."""
    for path in paths:
        Path(path).read_bytes()
    headers, walker = read(paths)
    some = paths[:: max(1, len(paths) // slow)]
    ways: dict[str, tuple[Callable[[Sequence[str]], object], Sequence[str]]] = {
        "pydicom loop": (pydicom_loop, some),
        "notebook's loop": (notebook_loop, some),
        "dicomsdl": (dicomsdl_loop, some),
        "fw-file-rs": (fw_file_loop, some),
        "reading": (read, paths),
        "to Parquet": (to_parquet, paths),
    }
    print(
        f"{name}: {len(paths)} files, {len(headers.codes) / len(paths):.0f} elements each, "
        f"{walker.fallbacks} by the reference reader; "
        f"{to_parquet(paths):.0f} bytes of lake an image"
    )
    base = 0.0
    for way, (run, files) in ways.items():
        if way in READERS and not is_here(READERS[way]):
            print(f"  {way:16} not installed: pip install '.[bench]'")
            continue
        seconds = best(repeats, lambda run=run, files=files: run(files)) / len(files)
        base = base or seconds
        print(f"  {way:16}{1 / seconds:9.0f} files/s {base / seconds:6.1f} x", flush=True)


def measure_workers(paths: Sequence[str], repeats: int) -> None:
    """Print how much faster two worker processes are than one, on the same batches."""
    size = -(-len(paths) // 8)
    folders = [os.path.split(path.lstrip("/")) for path in paths]
    times: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        work = [
            Batch(f"part-{at}", "bench", "run", "", folders[at : at + size])
            for at in range(0, len(folders), size)
        ]
        for jobs in (1, 2):
            with light_pool(jobs) as pool:

                def run(pool: Any = pool, jobs: int = jobs) -> None:
                    lake = Path(tempfile.mkdtemp(dir=folder))
                    for done in [pool.submit(extract_batch, one, lake) for one in work]:
                        done.result()

                run()  # the workers import what they need
                times[jobs] = best(repeats, run, time.perf_counter)
    print(f"two workers against one, {len(paths)} files: {times[1] / times[2]:.2f} x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--osic", type=int, default=SETS["osic"][0], help="images like OSIC's")
    parser.add_argument(
        "--hospital", type=int, default=SETS["hospital"][0], help="images like a hospital's"
    )
    parser.add_argument(
        "--folder", type=Path, action="append",
        help="real files (default: all of DICOMHOUSE_SHARED_DATA, and its LIDC studies)",
    )  # fmt: skip
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--slow", type=int, default=500, help="files of the slower ways")
    options = parser.parse_args()
    be_quiet()
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set()
    shared = os.environ.get("DICOMHOUSE_SHARED_DATA")
    real = options.folder or ([Path(shared, "lidc_small"), Path(shared)] if shared else [])
    with tempfile.TemporaryDirectory() as folder:
        made: dict[str, list[str]] = {}
        for profile, (_, of_patient) in SETS.items():
            if images := getattr(options, profile):
                root = Path(folder) / profile
                patients = max(1, images // of_patient)
                build_cohort(root, patients=patients, slices=100, profile=profile)
                made[profile] = [str(path) for path in cohorts.files(root)]
        if cores:
            os.sched_setaffinity(0, sorted(cores)[-1:])
        for name, paths in made.items():
            measure(name, paths, options.repeats, options.slow)
        for root in real:
            if paths := [str(path) for path in cohorts.files(root)]:
                measure(root.name, paths, options.repeats, options.slow)
            else:
                print(f"{root.name}: not measured, there is no file in it")
        if not real:
            print("real files: not measured, name their folder by --folder")
        if cores:
            os.sched_setaffinity(0, cores)
        if len(cores) < 2:
            print("two workers: not measured, there is one core")
        elif "osic" in made:
            measure_workers(made["osic"], options.repeats)


if __name__ == "__main__":
    main()
