"""Builds killed at any moment, over and over: `make crash-test`.

Each round changes a cohort, starts a build, kills it or a process of it with signal 9 (at a random
moment, or at a named step, which has to be come to), and builds again, at times while what is left
of the killed one still ends. What is published then is compared, row by row, with a clean build of
the same files: the three tables of the lake and every mart. Meanwhile a reader opens the
warehouse in a loop and another keeps what it opened: each must see one state. No process may stay.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
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
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import duckdb
import polars as pl
from commands import marked_processes, run_cli
from comparing import assert_equal_warehouses
from killing import PROGRAM

import dicomhouse
from dicomhouse.errors import WarehouseNotFound
from dicomhouse.store.generations import current
from dicomhouse.testing import build_cohort

STEPS = (
    "run run.plan.scan", "run run.plan.prepare", "run store.increment.lay_out",
    "run lake.records.adopt#2", "run run.build.make_lake",
    "worker lake.extract.extract_batch", "worker lake.parts.PartFile.close",
    "worker lake.rewrite.rewrite", "worker lake.records.PartRecord.save",
    "parent lake.extract.extract_batch", "parent lake.parts.PartFile.close#2",
    "parent lake.rewrite.rewrite", "parent lake.records.PartRecord.save",
    "run run.extract.finish_lake", "run lake.records.remove", "run lake.parts.write_columns_parts",
    "run store.generations.give_up", "run run.publish.register", "run warehouse.database.register",
    "run warehouse.pixels.digest_repeated", "run run.publish.transform",
    "run warehouse.plan.Compilation.template", "run warehouse.plan.Compilation._keep",
    "child warehouse.plan.Compilation.template", "run warehouse.models.run",
    "late warehouse.models.run", "run warehouse.models.check",
    "run run.publish.report", "run run.publish.publish", "run warehouse.database.finish",
    "run store.generations.publish", "run store.generations._point_to",
    "run store.generations.prune", "run store.generations._remove",
)  # fmt: skip
"""Where a build is killed, and what of it (see `killing`)."""

WHILE_DBT_COMPILES = ("run warehouse.plan.Compilation._keep",
                      "child warehouse.plan.Compilation.template")  # fmt: skip
"""Steps that a build comes to only where no plan is in the cache."""

ENDS = {"run": -signal.SIGKILL, "parent": -signal.SIGKILL, "late": -signal.SIGKILL,
        "worker": 7, "child": 1}  # fmt: skip
"""The exit code of a build by what of it was killed."""

ALL_READ = STEPS.index("run run.extract.finish_lake")
"""From this step on nothing is left to read for the next run."""

TRIES = 6
"""A step that only some runs come to, as those that merge, is looked for in this many."""


def change(source: Path, random: random.Random, files: int) -> None:
    """Add, change, move, break and remove a few files of a few folders."""
    folders = sorted({path.parent for path in source.rglob("*") if path.is_file()})
    near = random.sample(folders, min(3, len(folders)))
    there = sorted(path for folder in near for path in folder.iterdir() if path.is_file())
    for path in random.sample(there, min(files, max(1, len(there) // 2))):
        match random.choice(("copy", "change", "move", "remove", "cut", "touch")):
            case "copy":
                folder = random.choice(folders)
                shutil.copyfile(path, folder / f"copy-{random.randrange(10**9)}")
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
            case "touch":
                path.touch()
    if random.random() < 0.2:
        near[0].rename(source / f"renamed-{random.randrange(10**9)}")


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
            first = state(opened)
            assert state(opened) == first
            self.opened += 1
        time.sleep(0.2)

    def stop(self) -> None:
        self._stop_asked.set()
        self.join()
        if self.failure is not None:
            raise self.failure


def state(opened: dicomhouse.Warehouse) -> tuple[object, ...]:
    """What a reader sees; AssertionError where tables or the ways to them tell different things."""
    told = opened.generation.run()
    assert opened.sql("select max_by(run_id, generation) from runs").item() == told["run_id"]
    for table in ("images", "elements"):
        lazy = getattr(opened, table).select(pl.len()).collect().item()
        stored = opened.sql(f"select count(*) from {table}").item()
        assert lazy == stored == told[table], (table, lazy, stored, told[table])
    assert opened.sql("select coalesce(sum(images), 0) from series").item() == told["images"]
    columns = ["file_id", "source", "path", "size_bytes", "modified_at", "status"]
    lake = opened.files.select(columns).sort("file_id").collect()
    assert lake["file_id"].is_unique().all()
    assert len(lake) == sum(told["files"].values())
    mart = opened.sql(f"select {', '.join(columns)} from files order by file_id")
    assert lake.equals(mart.cast(dict(lake.schema)))
    assert opened.images.select("file_id").collect().join(lake, on="file_id", how="anti").is_empty()
    drift = opened.sql("select sum(files_new) - sum(files_gone) from runs").item()
    assert drift == len(lake), "the runs do not add up to what is there"
    return told["run_id"], lake.hash_rows().sort().to_list()


def assert_equal_lakes(one: Path, two: Path) -> None:
    """Every row of the three tables, and which partition it is in, but for its run."""
    connection = duckdb.connect()
    for table in ("files", "elements", "images"):
        for name, warehouse in (("one", one), ("two", two)):
            generation = current(warehouse)
            assert generation is not None
            glob = f"{generation.lake}/{table}/**/*.parquet"
            rest = " exclude (run_id)" if table == "files" else ""
            connection.execute(f"""
                create or replace view {name} as select *{rest} from
                read_parquet('{glob}', hive_partitioning = true, union_by_name = true)
            """)
        described = [connection.sql(f"describe {name}").fetchall() for name in ("one", "two")]
        assert sorted(described[0]) == sorted(described[1]), table
        for a, b in (("one", "two"), ("two", "one")):
            columns = ", ".join(f'"{column[0]}"' for column in described[0])
            query = f"select {columns} from {a} except all select {columns} from {b}"
            assert connection.sql(query).limit(1).fetchall() == [], table


@dataclass
class Rounds:
    """Builds of one cohort in small batches, and what of them is alive."""

    words: list[str]
    chance: random.Random
    batch: int
    longest: float = 20.0
    """Seconds that a build may take before it is killed."""
    marks: list[str] = field(default_factory=list)

    def environment(self, **more: str) -> dict[str, str]:
        mark = uuid4().hex
        self.marks.append(mark)
        paths = (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))
        return {
            **os.environ, "DICOMHOUSE_MARK": mark, "KILLING_BATCH": str(self.batch),
            "PYTHONPATH": os.pathsep.join(filter(None, paths)), **more,
        }  # fmt: skip

    def build(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *PROGRAM, *self.words], env=self.environment(),
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def kill_at(self, step: str) -> bool:
        """Build until the step; whether the build came to it."""
        who = step.partition(" ")[0]
        processes = who == "worker" or self.chance.random() < 0.5
        more = {"KILLING_AT": step, "DICOMHOUSE_SUPERVISED": "1",
                **({"KILLING_PROCESSES": "1"} if processes else {})}  # fmt: skip
        with tempfile.TemporaryDirectory() as nothing_compiled:
            if step in WHILE_DBT_COMPILES:
                more["DICOMHOUSE_CACHE"] = nothing_compiled
            ended = subprocess.run(
                [sys.executable, *PROGRAM, *self.words], env=self.environment(**more),
                capture_output=True, text=True, check=False, timeout=300,
            )  # fmt: skip
        assert ended.returncode in (0, ENDS[who]), (step, ended.returncode, ended.stderr)
        return ended.returncode != 0

    def kill_some_time(self) -> str:
        """Build, and kill a process of it after a while; how the build ended."""
        more = {"KILLING_PROCESSES": "1"} if self.chance.random() < 0.5 else {}
        environment = self.environment(**more)
        build = subprocess.Popen(
            [sys.executable, *PROGRAM, *self.words], env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            build.wait(self.chance.uniform(0.2, self.longest))
        except subprocess.TimeoutExpired:
            # Half of the time its supervisor dies, else the run, a worker or what compiles.
            own = marked_processes(environment["DICOMHOUSE_MARK"])
            victim = self.chance.choice(own) if own and self.chance.random() < 0.5 else build.pid
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        try:
            return "killed" if build.wait(300) else "ended before"
        finally:
            build.kill()

    def see_all_end(self) -> None:
        """AssertionError where a process of an ended run goes on."""
        deadline = time.monotonic() + 10
        for mark in self.marks:
            while left := marked_processes(mark):
                assert time.monotonic() < deadline, f"processes write on: {left}"
                time.sleep(0.05)
        self.marks.clear()


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
    source, warehouse, clean = folder / "in", folder / "w", folder / "clean"
    build_cohort(source, patients=patients, slices=slices, profile="hospital", pixels=False)
    words = ["build", str(source), "--direct", "--warehouse", str(warehouse)]
    rounds = Rounds(words, chance, batch=max(4, patients * slices // 6))
    assert rounds.kill_at(
        "run store.increment.Batch.save#4"
    )  # the first are read, others not found
    assert rounds.kill_at("parent lake.records.PartRecord.save")  # nothing is published yet
    assert rounds.kill_at("run run.extract.finish_lake")
    begun = time.monotonic()
    done = rounds.build()
    assert done.returncode == 0, done.stderr
    assert ", 0 files to read" in done.stderr
    rounds.longest = (time.monotonic() - begun) * 1.1
    rounds.see_all_end()
    reader = Reader(warehouse)
    reader.start()
    ends: Counter[str] = Counter()
    plans: list[str | None] = [*steps, *[None] * kills]
    chance.shuffle(plans)
    for number, step in enumerate(plans):
        held = dicomhouse.open(warehouse)
        opened = state(held)
        if step is None:
            change(source, chance, files=1 + patients * slices // 60)
            told = rounds.kill_some_time()
            if chance.random() < 0.3:  # killed twice in a row
                change(source, chance, files=1)
                rounds.kill_some_time()
        else:
            for _ in range(TRIES):
                change(source, chance, files=1 + patients * slices // 60)
                if step.endswith("give_up"):
                    rounds.kill_at("run run.publish.register")
                if rounds.kill_at(step):
                    break
            else:
                raise AssertionError(f"no run came to {step}")
            told = "killed at a step"
        if chance.random() < 0.5:  # else what is left of it ends while the next one runs
            rounds.see_all_end()
        shutil.rmtree(clean, ignore_errors=True)
        with ThreadPoolExecutor() as both:
            building = both.submit(rounds.build)
            made = both.submit(run_cli, *words[:-1], str(clean)).result()
            done = building.result()
        assert done.returncode == made.returncode == 0, done.stderr + made.stderr
        if step in STEPS[ALL_READ:]:
            assert re.search(r", 0 files to read|nothing changed", done.stderr), done.stderr
        rounds.see_all_end()
        assert_equal_lakes(warehouse, clean)
        assert_equal_warehouses(warehouse, clean)
        assert state(held) == opened
        held.close()
        standing = current(warehouse)
        assert standing is not None
        folders = [path.name for path in (warehouse / "generations").iterdir()]
        assert all((warehouse / "generations" / name / "run.json").exists() for name in folders)
        ends[told] += 1
        parts = json.loads((standing.folder / "run.json").read_text())["parts"]
        say(f"{number + 1}/{len(plans)} {step or 'random'}: {told}; equal, {parts} parts")
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
    os.environ["DICOMHOUSE_FILE_ID_KEY"] = "of the rounds"  # else no two warehouses would be equal
    with tempfile.TemporaryDirectory() as name:
        crash(Path(name), chosen.kills, chosen.patients, chosen.slices, chosen.seed,
              () if chosen.no_steps else STEPS, lambda line: print(line, flush=True))  # fmt: skip


if __name__ == "__main__":
    main()
