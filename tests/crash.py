"""Builds killed at any moment, over and over: `make crash-test`.

Each round changes a cohort, starts a build, kills it with signal 9 (at a random moment, or as a
named step begins) and sees that no process of it is left, one to three times, and builds again.
What is published then is compared, row by row, with a clean build of the same files: the three
tables of the lake and every mart. Meanwhile a reader opens the warehouse in a loop and must see one
state each time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import polars as pl
from conftest import marked_processes, run_cli
from incremental import lake_rows
from test_build import assert_equal_warehouses

import dicomhouse
from dicomhouse.errors import WarehouseNotFound
from dicomhouse.lake.generations import current
from dicomhouse.testing import build_cohort

STEPS = (
    "pipeline.scan", "pipeline.prepare", "increment.lay_out", "records.adopt", "jobs.carry_out",
    "pipeline.finish_lake", "parts.write_columns_parts", "generations.give_up",
    "pipeline.register", "pipeline.transform", "pipeline.report", "pipeline.publish",
    "generations._point_to", "generations.prune", "generations._remove",
)  # fmt: skip
"""Functions of the build that a round may be killed in; those of workers kill the worker."""

KILLS_A_ROUND = 3

KILLED_AT_STEP = """
import os, signal, sys
from importlib import import_module
from dicomhouse import pipeline
from dicomhouse.cli import main

room, function = sys.argv.pop(1).split(".")
def killed(*words, **named):
    os.kill(os.getpid(), signal.SIGKILL)
module = import_module({"pipeline": "dicomhouse.pipeline", "increment": "dicomhouse.increment"}.get(
    room, f"dicomhouse.lake.{room}"))
for user in (module, pipeline, import_module("dicomhouse.increment")):
    if hasattr(user, function):
        setattr(user, function, killed)
sys.exit(main(sys.argv[1:]))
"""


def change(source: Path, random: random.Random, files: int) -> None:
    """Add, change, move and remove a few files."""
    there = sorted(p for p in source.rglob("*") if p.is_file())
    for path in random.sample(there, min(files, len(there) // 4)):
        match random.choice(("copy", "change", "move", "remove", "cut")):
            case "copy":
                shutil.copyfile(path, path.with_name(f"copy-{random.randrange(10**9)}"))
            case "change":
                data = path.read_bytes()
                path.write_bytes(data.replace(b"MONOCHROME2", b"MONOCHROME1", 1))
            case "move":
                folder = source / f"moved-{random.randrange(5)}"
                folder.mkdir(exist_ok=True)
                path.replace(folder / f"{random.randrange(10**9)}")
            case "remove":
                path.unlink()
            case "cut":
                path.write_bytes(path.read_bytes()[:-7])


class Reader(threading.Thread):
    """Opens the warehouse in a loop; every table and both ways to it must tell one state."""

    def __init__(self, warehouse: Path) -> None:
        super().__init__(daemon=True)
        self.warehouse = warehouse
        self.opened = 0
        self.failure: BaseException | None = None
        self._stop_asked = threading.Event()

    def run(self) -> None:
        while not self._stop_asked.is_set() and self.failure is None:
            try:
                self._look()
            except WarehouseNotFound:
                time.sleep(0.05)
            except BaseException as error:
                self.failure = error

    def _look(self) -> None:
        with dicomhouse.open(self.warehouse) as opened:
            told = opened.generation.run()
            for _ in range(2):
                for table in ("images", "elements"):
                    lazy = getattr(opened, table).select(pl.len()).collect().item()
                    stored = opened.sql(f"select count(*) from {table}").item()
                    assert lazy == stored == told[table], (table, lazy, stored, told[table])
                ids = opened.files.select(pl.len(), pl.col("file_id").n_unique().alias("ids"))
                assert ids.collect().row(0) == (sum(told["files"].values()),) * 2
            self.opened += 1
        time.sleep(0.2)

    def stop(self) -> None:
        self._stop_asked.set()
        self.join()
        if self.failure is not None:
            raise self.failure


def kill_one(words: list[str], random: random.Random, at: str | None, longest: float) -> str:
    """Start a build and kill it; how it ended. No process of it is left when this returns."""
    mark = uuid4().hex
    program = ["-m", "dicomhouse"] if at is None else ["-c", KILLED_AT_STEP, at]
    # A supervised build is killed by its supervisor's loss too; half of the time that dies.
    direct = {} if at is None else {"DICOMHOUSE_SUPERVISED": "1"}
    build = subprocess.Popen(
        [sys.executable, *program, *words], env={**os.environ, "DICOMHOUSE_MARK": mark, **direct},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        build.wait(random.uniform(0.2, longest) if at is None else 120)
    except subprocess.TimeoutExpired:
        own = sorted(marked_processes(mark))
        victim = random.choice(own) if own and random.random() < 0.5 else build.pid
        os.kill(victim, signal.SIGKILL)
    try:
        ended = build.wait(60)
    finally:
        build.kill()
    deadline = time.monotonic() + 10
    while left := marked_processes(mark):
        assert time.monotonic() < deadline, f"processes write on: {left}"
        time.sleep(0.05)
    return "killed" if ended == -signal.SIGKILL else f"ended with {ended}"


def crash(
    folder: Path,
    kills: int,
    patients: int,
    slices: int,
    seed: int,
    steps: Sequence[str],
    say: Callable[[str], None],
) -> Counter[str]:
    """Run the rounds below `folder`; AssertionError where two builds differ."""
    chance = random.Random(seed)
    source, warehouse = folder / "in", folder / "w"
    build_cohort(source, patients=patients, slices=slices, profile="hospital", pixels=False)
    words = ["build", str(source), "--direct", "--warehouse", str(warehouse)]
    begun = time.monotonic()
    assert run_cli(*words).returncode == 0
    longest = (time.monotonic() - begun) * 1.1
    reader = Reader(warehouse)
    reader.start()
    ends: Counter[str] = Counter()
    plans: list[str | None] = [*steps, *[None] * kills]
    chance.shuffle(plans)
    for first in range(0, len(plans), KILLS_A_ROUND):
        told = []
        for at in plans[first : first + KILLS_A_ROUND]:
            change(source, chance, files=1 + patients * slices // 60)
            # Worker processes read what a refresh reads; a few files are read by threads.
            refresh = ["--full-refresh"] if chance.random() < 0.3 else []
            # Half of the moments lie in the first seconds, before the models: there the lake grows.
            ended = kill_one([*words, *refresh], chance, at, chance.choice((longest, longest / 4)))
            told.append(f"{at or 'random'}{' of a refresh' if refresh else ''} {ended}")
            ends[ended] += 1
        clean = folder / "clean"
        shutil.rmtree(clean, ignore_errors=True)
        with ThreadPoolExecutor() as both:
            done, made = both.map(lambda to: run_cli(*words[:-1], str(to)), (warehouse, clean))
        assert done.returncode == made.returncode == 0, done.stderr + made.stderr
        assert lake_rows(warehouse) == lake_rows(clean)
        assert_equal_warehouses(warehouse, clean)
        standing = current(warehouse)
        assert standing is not None
        folders = [p.name for p in (warehouse / "generations").iterdir()]
        assert all((warehouse / "generations" / name / "run.json").exists() for name in folders)
        parts = json.loads((standing.folder / "run.json").read_text())["parts"]
        say(f"{first + len(told)}/{len(plans)} {', '.join(told)}; equal, {parts} parts")
    reader.stop()
    say(f"{dict(ends)}; a reader saw {reader.opened} consistent states")
    ends["reader"] = reader.opened
    return ends


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60, help="at random moments")
    parser.add_argument("--patients", type=int, default=20)
    parser.add_argument("--slices", type=int, default=34, help="of each of three series a patient")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-steps", action="store_true", help="leave the named steps out")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        crash(Path(name), chosen.kills, chosen.patients, chosen.slices, chosen.seed,
              () if chosen.no_steps else STEPS, lambda line: print(line, flush=True))  # fmt: skip


if __name__ == "__main__":
    main()
