"""What a run costs when little changed: nothing, 1 % in a few folders, 1 % everywhere.

All over one cohort, in one run, on warm caches. Builds are started as a user starts them; the
steps' seconds are those that they record themselves. Two figures are told of a change: what its
steps take by themselves, and by how much they put off the models, against a run that has only the
models to build.
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
from statistics import median
from typing import Any

import cohorts
from tables import verdict

from dicomhouse.testing import build_cohort

PADDING = b"\xfc\xff\xfc\xffOB\x00\x00\x02\x00\x00\x00\x00\x00"
"""DataSetTrailingPadding of two bytes, explicit VR little endian."""
LOOKING = ("scan", "plan")
"""What stands before the work is laid out."""
READING = (*LOOKING, "lay out", "extract")
BEFORE_MODELS = (*READING, "register", "pixels", "wait for dbt")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=176)
    parser.add_argument("--slices", type=int, default=188)
    parser.add_argument("--rounds", type=int, default=5, help="runs a figure is the median of")
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        bench = Bench(Path(name) / "in", Path(name) / "w", chosen.rounds)
        build_cohort(bench.source, patients=chosen.patients, slices=chosen.slices, pixels=False)
        bench.full_builds()
        bench.no_change()
        files = cohorts.files(bench.source)
        count = len(files) // 100
        starts = range(0, chosen.rounds * count, count)
        bench.changes([files[start : start + count] for start in starts], bound=0.1)
        bench.changes([random.Random(start).sample(files, count) for start in starts])


class Bench:
    """One cohort and its warehouse."""

    def __init__(self, source: Path, warehouse: Path, rounds: int) -> None:
        self.source = source
        self.warehouse = warehouse
        self.rounds = rounds
        self.full = 0.0
        """Seconds of a full extraction: of two, the lesser."""
        self._tolerance = 0

    def full_builds(self) -> None:
        records = [self.build()[1], self.build("--full-refresh")[1]]
        self.full = min(seconds(record, READING) for record in records)
        for record in records:
            print(f"full build         extraction {seconds(record, READING):6.2f} s, "
                  f"models {record['seconds']['models']:6.2f} s")  # fmt: skip

    def no_change(self) -> None:
        bare = min(timed(lambda: look(self.source)) for _ in range(self.rounds))
        nothing = min(self.build()[0] for _ in range(self.rounds))
        bound = 1.2 * bare + 0.8
        print(f"no change          {nothing:6.2f} s; bare scandir and stat {bare:.3f} s, "
              f"bound {bound:.2f} s: {verdict(nothing <= bound)}")  # fmt: skip

    def changes(self, rounds: list[list[Path]], bound: float | None = None) -> None:
        """Change some files, build, and compare with runs that have only the models to build."""
        steps, put_off = [], []
        for files in rounds:
            self._tolerance += 1
            _, only_models = self.build()
            for path in files:
                change(path)
            _, record = self.build()
            assert record["drift"]["changed"] == len(files)
            assert only_models["drift"]["changed"] == 0
            steps.append(seconds(record, READING))
            unhindered = seconds(only_models, BEFORE_MODELS) - seconds(only_models, LOOKING)
            put_off.append(seconds(record, BEFORE_MODELS) - unhindered)
        folders = len({path.parent for path in rounds[0]})
        told = f"{len(rounds[0])} files in {folders:3} folders:"
        for what, took in (("steps", median(steps)), ("models put off by", median(put_off))):
            share = took / self.full
            told += f" {what} {took:.2f} s ({share:.0%} of full"
            told += f", bound {bound:.0%}: {verdict(share <= bound)});" if bound else ");"
        print(told.removesuffix(";"))

    def build(self, *options: str) -> tuple[float, dict[str, Any]]:
        """Seconds of a whole `dicomhouse build`, and the record of what it published."""
        words = ["build", str(self.source), "--direct", "--warehouse", str(self.warehouse)]
        words += ["--tolerance", f"localizer_embedded.images={5 + self._tolerance}", *options]
        command = [sys.executable, "-m", "dicomhouse", *words]
        whole = timed(lambda: subprocess.run(command, check=True, capture_output=True))
        record: dict[str, Any] = json.loads((self.warehouse / "current" / "run.json").read_text())
        return whole, record


def change(path: Path) -> None:
    """Pad a file's data set, or take the padding out again: it stays valid."""
    data = path.read_bytes()
    path.write_bytes(data.removesuffix(PADDING) if data.endswith(PADDING) else data + PADDING)


def seconds(record: dict[str, Any], steps: tuple[str, ...]) -> float:
    return float(sum(record["seconds"].get(name, 0) for name in steps))


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
