"""What a worker's memory grows to: batches of 20,000 files, and files that ask for too much.

Each set is one batch in a process of its own, whose peak resident memory counts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from children import peak_bytes

SETS = ("osic", "hospital", "hostile", "osic and hostile")


def build(folder: Path, name: str, files: int, many: int) -> None:
    """Write a set; `many` is how often a hostile file repeats what it repeats."""
    from dicomhouse.testing import build_cohort
    from dicomhouse.testing.hostile import hostile_files

    for profile, series in (("osic", 1), ("hospital", 3)):
        if profile in name.split():
            patients = -(-files // (100 * series))
            build_cohort(folder / profile, patients=patients, slices=100, profile=profile)
    if "hostile" in name.split():
        (folder / "hostile").mkdir(parents=True)
        for number, (attempt, data) in enumerate(hostile_files(many)):
            (folder / "hostile" / f"{number:02d} {attempt}").write_bytes(data)


def extract(folder: Path, files: int) -> dict[str, Any]:
    """Read a set as one batch. Returns what came out and what it took."""
    from dicomhouse.lake.extract import extract_batch
    from dicomhouse.lake.orders import Batch

    paths = sorted(path for path in folder.rglob("*") if path.is_file())[:files]
    folders = [(path.parent.relative_to(folder).as_posix(), path.name) for path in paths]
    with tempfile.TemporaryDirectory() as lake:
        begun = time.process_time()
        summary = extract_batch(Batch("part", "bench", "run", str(folder), folders), Path(lake))
        seconds = time.process_time() - begun
    peak = peak_bytes(resource.getrusage(resource.RUSAGE_SELF))
    return {
        "files": len(paths),
        "statuses": dict(summary.statuses),
        "elements": summary.elements,
        "lake_bytes_per_image": summary.n_bytes / max(1, summary.images),
        "seconds": seconds,
        "peak_bytes": peak,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", choices=SETS, action="append", help="all of them by default")
    parser.add_argument("--files", type=int, default=20_000, help="images of a batch")
    parser.add_argument("--many", type=int, default=1_000_000, help="repetitions in hostile files")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--step", choices=("build", "extract"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step == "build":
        build(options.folder, options.set[0], options.files, options.many)
        return
    if options.step == "extract":
        print(json.dumps(extract(options.folder, options.files + 100)))
        return
    for name in options.set or SETS:
        with tempfile.TemporaryDirectory() as folder:
            steps = [
                # Processes of their own: what this one uses would count as theirs.
                subprocess.run(
                    [sys.executable, __file__, "--step", step, "--set", name, "--folder", folder,
                     "--files", str(options.files), "--many", str(options.many)],
                    stdout=subprocess.PIPE, check=True, env={**os.environ},
                )
                for step in ("build", "extract")
            ]  # fmt: skip
        told = {"set": name, **json.loads(steps[-1].stdout)}
        if options.json:
            print(json.dumps(told))
        else:
            print(
                f"{name:17}{told['files']:7,} files {told['elements']:10,} elements "
                f"{told['peak_bytes'] / 1e6:6.0f} MB at most {told['seconds']:6.1f} s"
            )


if __name__ == "__main__":
    main()
