"""A build that is killed with signal 9 at a named step, in this process or in its workers.

`python -c 'import killing; killing.main()' build ...` builds in small batches, so that a cohort has
many parts. The environment says how: `KILLING_BATCH` files a batch, `KILLING_PROCESSES` for workers
that are processes however few files are read, and the step in `KILLING_AT`: `WHO ROOM.FUNCTION`,
with `#N` where it is not the first call.

WHO is what dies as the function is called: `run`, the process of the run; `worker`, the worker that
calls it; `parent`, the run while its worker goes on; `late`, the run a little later; `child`, the
process that compiles for it, a little later. Nothing dies of `held`: the worker waits for a while.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

from dicomhouse import cli, configuration
from dicomhouse.lake.records import PartRecord
from dicomhouse.run import build, workers
from dicomhouse.settings import Settings
from dicomhouse.store import jobs

PROGRAM = ["-c", "import sys, killing; sys.exit(killing.main())"]
_LATER_SECONDS = 1
_HELD_SECONDS = 5
_ROOMS = ("run.build", "run.plan", "run.extract", "run.publish", "store.increment",
          "store.generations", "lake.extract", "lake.parts", "lake.records", "lake.rewrite",
          "warehouse.database", "warehouse.models", "warehouse.pixels",
          "warehouse.plan")  # fmt: skip


@dataclass(frozen=True)
class InSmallBatches(Settings):
    batch_files: int = int(os.environ.get("KILLING_BATCH", "0")) or Settings.batch_files


def main() -> int:
    """What `python -m dicomhouse` does, until the step."""
    configuration.Settings = InSmallBatches  # type: ignore[misc]
    if os.environ.get("KILLING_PROCESSES"):
        workers.FEW_FILES = 0
    build.carry_out = carry_out
    supervise = cli.supervise
    cli.supervise = lambda words: supervise([*PROGRAM, *words[2:]])
    who, _, _ = os.environ.get("KILLING_AT", "").partition(" ")
    if who in ("run", "late", "child"):
        arm()
    return cli.main()


def carry_out(work: Path, extractor: str) -> PartRecord:
    """The worker's job; in a thread too."""
    if os.environ.get("KILLING_AT", "").startswith(("worker ", "parent ", "held ")):
        arm()
    return jobs.carry_out(work, extractor)


@cache
def arm() -> None:
    """Put what kills before the step, wherever its function is called from."""
    who, _, step = os.environ["KILLING_AT"].partition(" ")
    step, _, call = step.partition("#")
    rooms = [import_module(f"dicomhouse.{room}") for room in _ROOMS]
    (room,) = (r for r in rooms if step.startswith(r.__name__.removeprefix("dicomhouse.") + "."))
    *holders, name = step.removeprefix(room.__name__.removeprefix("dicomhouse.") + ".").split(".")
    home: Any = room
    for holder in holders:
        home = getattr(home, holder)
    real = getattr(home, name)
    calls = iter(range(1, 1 << 30))

    def killed(*words: Any, **named: Any) -> Any:
        if next(calls) == int(call or 1):
            _kill(who, words)
        return real(*words, **named)

    for user in (home, *rooms):
        if getattr(user, name, None) is real:
            setattr(user, name, killed)


def _kill(who: str, words: tuple[Any, ...]) -> None:
    match who:
        case "run" | "worker":
            os.kill(os.getpid(), signal.SIGKILL)
        case "held":
            time.sleep(_HELD_SECONDS)
        case "parent":
            os.kill(os.getppid() if parent_process() else os.getpid(), signal.SIGKILL)
        case _:
            victim = words[0]._process.pid if who == "child" else os.getpid()
            threading.Timer(_LATER_SECONDS, os.kill, (victim, signal.SIGKILL)).start()
