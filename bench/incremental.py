"""What a run costs when little changed: nothing, 1 % in a few folders, 1 % everywhere.

All over one cohort, in one run, on warm caches. Builds are started as a user starts them; the
steps' seconds are those that they record themselves.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from dicomhouse.testing import build_cohort

PADDING = b"\xfc\xff\xfc\xffOB\x00\x00\x02\x00\x00\x00\x00\x00"
"""DataSetTrailingPadding of two bytes, explicit VR little endian."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=176)
    parser.add_argument("--slices", type=int, default=188)
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        source, warehouse = Path(name) / "in", Path(name) / "w"
        build_cohort(source, patients=chosen.patients, slices=chosen.slices, pixels=False)
        full = build(source, warehouse)
        print(f"full build         extraction {read_seconds(full):6.2f} s, "
              f"models {full['seconds']['models']:6.2f} s")  # fmt: skip
        bare = min(timed(lambda: look(source)) for _ in range(5))
        nothing = min(timed(lambda: build(source, warehouse)) for _ in range(3))
        bound = 3 * bare + 1.5
        print(f"no change          {nothing:6.2f} s; bare scandir and stat {bare:.3f} s, "
              f"bound {bound:.2f} s: {'kept' if nothing <= bound else 'MISSED'}")  # fmt: skip
        files = sorted(path for path in source.rglob("*") if path.is_file())
        count = len(files) // 100
        share = change(files[:count], source, warehouse, full)
        print(f"  bound 10 %: {'kept' if share <= 0.1 else 'MISSED'}")
        change(random.Random(0).sample(files[count:], count), source, warehouse, full)


def change(files: list[Path], source: Path, warehouse: Path, full: dict[str, Any]) -> float:
    """Change some files, build, and tell the share of the full extraction's time."""
    for path in files:
        path.write_bytes(path.read_bytes() + PADDING)
    folders = len({path.parent for path in files})
    record = build(source, warehouse)
    assert record["drift"]["changed"] == len(files)
    share = read_seconds(record) / read_seconds(full)
    print(f"{len(files)} files in {folders:3} folders: extraction {read_seconds(record):6.2f} s "
          f"({share:.0%} of full), models {record['seconds']['models']:6.2f} s")  # fmt: skip
    return share


def read_seconds(record: dict[str, Any]) -> float:
    """All that a run does before its models: scan, plan, reading, writing parts anew."""
    steps = record["seconds"]
    return float(sum(steps[name] for name in ("scan", "plan", "lay out", "extract")))


def build(source: Path, warehouse: Path) -> dict[str, Any]:
    words = ["build", str(source), "--direct", "--warehouse", str(warehouse)]
    subprocess.run([sys.executable, "-m", "dicomhouse", *words], check=True, capture_output=True)
    record: dict[str, Any] = json.loads((warehouse / "current" / "run.json").read_text())
    return record


def look(folder: str | Path) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                look(entry.path)
            else:
                entry.stat()


def timed(run: Any) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
