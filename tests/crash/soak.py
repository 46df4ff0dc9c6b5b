"""A year of nights on a small cohort: `make soak-test`.

Before each run files arrive, change, move and vanish. Most runs build in this process, so that what
it leaks is seen: objects, descriptors, and memory in use. What the allocator keeps for later, in
pieces, is not a leak, and a night's own process gives it back. Some are killed, some find their
source gone, some go through the Prefect flow.
Whatever happened, a run that publishes leaves two generations and nothing else; neither memory,
descriptors, files, caches nor Prefect's rows grow beyond what the first runs took; and every tenth
state is that of a clean build, row by row. The seed decides everything but the moments of kills.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import random
import shutil
import sqlite3
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

from commands import run_cli
from comparing import assert_equal_warehouses
from crash import Rounds, assert_equal_lakes, change

import dicomhouse
from dicomhouse.cache import cache_folder
from dicomhouse.errors import SourceLost
from dicomhouse.run.build import build_direct
from dicomhouse.settings import Settings
from dicomhouse.testing import build_cohort

KINDS = {"build": 70, "kill": 15, "source gone": 10, "flow": 5}
"""What a night brings, and how often in a hundred."""
KEPT = 2
GROWTH = 1.15
"""What the last quarter of the runs may take, as a multiple of the second's."""


class MallInfo(ctypes.Structure):
    """What glibc tells of its memory (mallinfo2(3)), of all threads' together."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


_mallinfo2 = ctypes.CDLL("libc.so.6").mallinfo2
_mallinfo2.restype = MallInfo


def measure(warehouse: Path, cache: Path, home: Path) -> dict[str, int]:
    gc.collect()
    allocated = _mallinfo2()
    rows = 0
    if (home / "prefect.db").exists():
        with closing(sqlite3.connect(home / "prefect.db")) as database:
            rows = database.execute("select count(*) from flow_run").fetchone()[0]
    return {
        "bytes in use": allocated.uordblks + allocated.hblkhd,
        "objects": len(gc.get_objects()),
        "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 -- a loop's own is counted
        "files": sum(1 for path in warehouse.rglob("*") if path.is_file()),
        "entries of the cache": sum(1 for _ in cache.rglob("*")),
        "flow runs": rows,
    }


def soak(folder: Path, runs: int, seed: int) -> None:
    """Run the nights below `folder`; AssertionError where something grows or differs."""
    chance = random.Random(seed)
    source, warehouse, home = folder / "in", folder / "w", folder / "prefect"
    os.environ["PREFECT_HOME"] = str(home)
    os.environ["DICOMHOUSE_CACHE"] = str(folder / "cache")
    os.environ["DICOMHOUSE_FILE_ID_KEY"] = "of the runs"  # else no two warehouses would be equal
    os.environ.pop("PREFECT_API_URL", None)
    build_cohort(source, patients=4, slices=20, profile="hospital", pixels=False)
    settings = Settings((str(source),), warehouse, batch_files=40, jobs=1, keep_generations=KEPT)
    words = ["build", str(source), "--warehouse", str(warehouse)]
    killing = Rounds([*words, "--direct"], chance, batch=40, longest=4.0)
    seen: list[dict[str, int]] = []
    nights: Counter[str] = Counter()
    for number in range(1, runs + 1):
        replenish(source, chance)
        kind = chance.choices(list(KINDS), list(KINDS.values()))[0] if number > 1 else "build"
        if kind == "kill":
            killing.kill_some_time()
            killing.see_all_end()
        elif kind == "source gone":
            away = source.rename(folder / "away")
            try:
                build_direct(settings, lambda line: None)
                raise AssertionError("a source that is gone was believed")
            except SourceLost:
                away.rename(source)
        elif kind == "flow":
            done = run_cli(*words, "--flow")
            assert done.returncode == 0, done.stderr
        nights[kind] += 1
        build_direct(settings, lambda line: None)
        kept = sorted(path.name for path in (warehouse / "generations").iterdir())
        assert len(kept) <= KEPT, kept
        if number % 10 == 0:
            with ProcessPoolExecutor(1, get_context("spawn")) as apart:  # its memory is not a run's
                apart.submit(compare, settings, folder / "clean").result()
        seen.append(measure(warehouse, cache_folder(), home))
        print(f"{number}/{runs} {kind}: {seen[-1]}", flush=True)
    quarter = len(seen) // 4
    for what in seen[0]:
        early = max(told[what] for told in seen[quarter : 2 * quarter])
        late = max(told[what] for told in seen[-quarter:])
        print(f"{what}: at most {early:,} in the second quarter, {late:,} in the last")
        if what != "flow runs":  # which go by their age
            assert late <= early * GROWTH, what
    print(f"{dict(nights)}; nothing grew")


def replenish(source: Path, chance: random.Random) -> None:
    """Change a few files, and keep about as many as there were."""
    change(source, chance, files=6)
    there = sorted(path for path in source.rglob("*") if path.is_file())
    for path in there[400:]:
        path.unlink()
    for number in range(max(0, 200 - len(there))):
        shutil.copyfile(there[0], there[0].with_name(f"again-{number}-{chance.random():.9f}"))
    for empty in sorted((p for p in source.rglob("*") if p.is_dir()), reverse=True):
        if not any(empty.iterdir()):
            empty.rmdir()


def compare(settings: Settings, clean: Path) -> None:
    shutil.rmtree(clean, ignore_errors=True)
    build_direct(Settings(settings.sources, clean, jobs=1), lambda line: None)
    assert_equal_lakes(settings.warehouse, clean)
    assert_equal_warehouses(settings.warehouse, clean)
    with dicomhouse.open(settings.warehouse) as opened:
        assert opened.sql("select count(*) n from files").item() > 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        soak(Path(name), chosen.runs, chosen.seed)


if __name__ == "__main__":
    main()
