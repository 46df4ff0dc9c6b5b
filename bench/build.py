"""What a whole build takes, by the clock and in memory, beside pydicom and peers from PyPI.

Every figure is of whole processes, started as a user starts them, over files that lie in the page
cache. A build and what it is compared with take turns, and a ratio is the median of the rounds' own
ratios. Each build makes a new warehouse. What programs keep for a user they keep in a home folder
of the benchmark's own, which is empty at a first use.

The figures to reach are for two idle cores: how busy others kept the machine is told above them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from children import Failed, Idleness, Use, run
from peers import PROGRAMS, Program
from tables import markdown, megabytes, plain, spread, verdict

BENCH = Path(__file__).resolve().parent
PYTHON = (sys.executable, "-P")
DICOMHOUSE = (*PYTHON, "-m", "dicomhouse")
WORKS = ("demo", "ct", "osic", "flow")
MILLION = 1_000_000
SLICES = 188
"""OSIC's average."""
NOT_IDLE = 0.1
"""Cores."""
_OTHERS = ("DBT_", "DICOMHOUSE_", "PREFECT_", "XDG_")
"""Settings that would make a build another one."""


@dataclass(frozen=True)
class Target:
    """What is to be reached; what is None does not matter."""

    seconds: float | None = None
    goal: float | None = None
    """Seconds that would be better still."""
    of_loop: float | None = None
    models: float | None = None
    """Seconds of the step of this name."""
    gigabytes: float | None = None
    """Of the largest process."""

    def __str__(self) -> str:
        told = (
            (self.seconds, f"{self.seconds} s"),
            (self.goal, f"goal {self.goal} s"),
            (self.of_loop, f"{self.of_loop} x"),
            (self.models, f"models {self.models} s"),
            (self.gigabytes, f"{self.gigabytes} GB"),
        )
        return ", ".join(words for wanted, words in told if wanted is not None)


@dataclass
class Work:
    """A kind of work, and what each round of it took."""

    name: str
    target: Target = field(default_factory=Target)
    uses: list[Use] = field(default_factory=list)
    of_loop: list[float] = field(default_factory=list)
    """The seconds as a multiple of the pydicom loop's in the same round."""
    steps: list[dict[str, float]] = field(default_factory=list)
    """The seconds of each step, as `run.json` has them."""

    def seconds(self) -> float:
        return median(use.seconds for use in self.uses)

    def largest_bytes(self) -> int:
        return max(use.largest_bytes for use in self.uses)

    def step_seconds(self) -> dict[str, float]:
        names = dict.fromkeys(name for steps in self.steps for name in steps)
        return {name: median(steps.get(name, 0.0) for steps in self.steps) for name in names}

    def figures(self) -> list[str]:
        together = max(use.together_bytes or 0 for use in self.uses)
        return [
            spread([use.seconds for use in self.uses]),
            plain(median(use.cpu_seconds for use in self.uses)),
            spread(self.of_loop) if self.of_loop else "",
            megabytes(self.largest_bytes()),
            megabytes(together) if together else "not told",
        ]

    def verdict(self) -> str:
        compared = (
            (self.target.seconds, self.seconds()),
            (self.target.of_loop, median(self.of_loop) if self.of_loop else None),
            (self.target.models, self.step_seconds().get("models")),
            (self.target.gigabytes, self.largest_bytes() / 1e9),
        )
        wanted = [(most, took) for most, took in compared if most is not None]
        if not wanted:
            return ""
        if any(took is None for _, took in wanted):
            return "not all is measured"
        told = verdict(all(took <= most for most, took in wanted))
        if self.target.goal is not None:
            told += f", goal {verdict(self.seconds() <= self.target.goal)}"
        return told


@dataclass
class Peer:
    """What reads the same files beside a build: its work, and what comes of it."""

    work: Work
    makes: str
    command: Callable[[Path, Path], tuple[str | Path, ...]]
    """The command for a folder to read and one to write into."""
    missing: str = ""
    """Why there are no figures."""
    is_needed: bool = False
    """Its failure is the benchmark's."""


class Bench:
    """The folder where the work is done, and what was measured so far."""

    def __init__(self, folder: Path, cohorts: Path, rounds: int) -> None:
        self.folder = folder
        self.cohorts = cohorts
        self.rounds = rounds
        self.works: list[Work] = []
        self.peers: list[Peer] = []
        self._home = folder / "home"
        self._home.mkdir()
        self._warmed_up: dict[tuple[str, ...], int] = {}

    def demo(self, name: str, options: tuple[str, ...], target: Target) -> None:
        """The studies inside pydicom: in each round once with an empty home, and once more."""
        files = self._warm_up(*options)
        name = f"{files:,} files of the demo, {name}"
        first, later = Work(f"{name}, first use"), Work(name, target)
        usual = self._home
        for _ in range(self.rounds):
            with self._new_folder() as self._home:
                self._build(first, "demo", *options)
                self._build(later, "demo", *options)
        self._home = usual
        self.works += [later, first]

    def cohort(
        self, kind: str, source: Path, target: Target, unchanged: Target | None, peers: list[Peer]
    ) -> None:
        """Made-up files: builds in turns with peers, the loop first; then builds of no change."""
        self._warm_up("--direct")
        count = bring_into_cache(source)
        work = Work(f"{count:,} {kind}", target)
        for peer in peers:
            peer.work.name += f", {count:,} files"
        with self._new_folder() as folder:
            warehouse = folder / "warehouse"
            for _ in range(self.rounds):
                for peer in peers:
                    self._read(peer, source)
                shutil.rmtree(warehouse, ignore_errors=True)
                self._build(work, "build", source, "--direct", warehouse=warehouse)
                if peers:
                    loop, *others = (peer.work for peer in peers if not peer.missing)
                    for every in (work, *others):
                        every.of_loop.append(every.uses[-1].seconds / loop.uses[-1].seconds)
            self.works.append(work)
            self.peers += peers
            if unchanged is not None:
                again = Work(f"no change, {work.name}", unchanged)
                for _ in range(max(5, self.rounds)):
                    again.uses.append(self._run(*DICOMHOUSE, "build", source, "--direct",
                                                "--warehouse", warehouse))  # fmt: skip
                self.works.append(again)

    def series(self, patients: int, *options: str) -> Path:
        """A cohort of one CT series of 188 slices a patient."""
        words = ("--patients", str(patients), "--slices", str(SLICES), *options)
        name = "-".join(("series", str(patients * SLICES), *(o.strip("-") for o in options)))
        return self._written(name, (*PYTHON, "-m", "dicomhouse.testing"), words)

    def headers(self, images: int) -> Path:
        """A cohort of header-only files in series of many lengths."""
        words = ("--images", str(images))
        return self._written(f"headers-{images}", (sys.executable, BENCH / "cohorts.py"), words)

    def show(self) -> None:
        took = ("seconds", "CPU seconds", "x pydicom loop", "largest process", "all together")
        rows = [[w.name, *w.figures(), str(w.target), w.verdict()] for w in self.works]
        print(markdown(("work", *took, "to reach", "verdict"), rows))
        if self.peers:
            print("\nBeside them, over the same files:\n")
            rows = [[p.work.name, *(p.work.figures() if not p.missing else ["", "", "", "", ""]),
                     p.missing or p.makes] for p in self.peers]  # fmt: skip
            print(markdown(("way", *took, "makes"), rows))
        print("\nSeconds of each step, as the warehouse's run.json has them; steps may overlap:\n")
        rows = [
            [work.name, ", ".join(f"{name} {plain(s)}" for name, s in work.step_seconds().items())]
            for work in self.works
            if work.steps
        ]
        print(markdown(("work", "steps"), rows))

    def _written(self, name: str, program: tuple[str | Path, ...], words: tuple[str, ...]) -> Path:
        """The cohort of this name: written now, or kept by an earlier run."""
        kept = self.cohorts / name
        if not kept.is_dir():
            tell(f"writing {name}")
            with self._new_folder() as folder:
                self._run(*program, folder / name, *words)
                (folder / name).rename(kept)
            os.sync()  # else it is done while something is measured
        return kept

    def _warm_up(self, *options: str) -> int:
        """Let a demo bring into page cache and home what later runs find; returns its files."""
        if options not in self._warmed_up:
            self._warmed_up[options] = self._build(Work("warming up"), "demo", *options)
        return self._warmed_up[options]

    def _build(
        self, work: Work, command: str, *words: str | Path, warehouse: Path | None = None
    ) -> int:
        """Make a new warehouse, note what it took, and return how many files it has."""
        with self._new_folder() as folder:
            made = warehouse or folder / "warehouse"
            work.uses.append(self._run(*DICOMHOUSE, command, *words, "--warehouse", made))
            record: dict[str, Any] = json.loads((made / "current" / "run.json").read_text())
        work.steps.append(record["seconds"])
        tell(f"{work.name}: {work.uses[-1].seconds:.1f} s")
        return int(sum(record["files"].values()))

    def _read(self, peer: Peer, source: Path) -> None:
        if peer.missing:
            return
        with self._new_folder() as output:
            try:
                peer.work.uses.append(self._run(*peer.command(source, output)))
                tell(f"{peer.work.name}: {peer.work.uses[-1].seconds:.1f} s")
            except Failed as failed:
                if peer.is_needed:
                    raise
                peer.missing = "failed"
                tell(str(failed))

    def _run(self, *command: str | Path) -> Use:
        environment = {n: v for n, v in os.environ.items() if not n.startswith(_OTHERS)}
        return run(command, folder=self.folder, environment=environment | {"HOME": str(self._home)})

    @contextmanager
    def _new_folder(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            yield Path(name)


def bring_into_cache(folder: Path) -> int:
    """Read every file of a folder; returns how many there are."""
    count = 0
    for place, _, names in os.walk(folder):
        for name in names:
            Path(place, name).read_bytes()
            count += 1
    return count


def pydicom_loop() -> Peer:
    """What every ratio is to."""
    return Peer(
        Work("pydicom, every header and all its values"),
        "nothing, in one process",
        lambda source, output: (*PYTHON, BENCH / "peers.py", source),
        is_needed=True,
    )


def installed(program: Program) -> Peer:
    """A peer from PyPI, installed into an environment of its own, apart from dicomhouse's."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = cache / f"dicomhouse-bench-{platform.python_version()}"
    pip = place / "bin" / "pip"
    missing = ""
    try:
        if not pip.exists():
            subprocess.run([sys.executable, "-m", "venv", place], check=True, stdout=sys.stderr)
        words = ["--quiet", "--disable-pip-version-check", f"pydicom=={version('pydicom')}"]
        subprocess.run([pip, "install", *words, program.requirement], check=True, stdout=sys.stderr)
    except (OSError, subprocess.CalledProcessError):
        missing = "could not be installed"

    def command(source: Path, output: Path) -> tuple[str | Path, ...]:
        words = (word.format(folder=source, output=output) for word in program.command[1:])
        return (place / "bin" / program.command[0], *words)

    return Peer(Work(program.requirement.replace("==", " ")), program.makes, command, missing)


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="runs a figure is the median of")
    parser.add_argument(
        "--only", choices=WORKS, action="append", help="leave the other work out (repeatable)"
    )
    parser.add_argument(
        "--images", type=int, metavar="N",
        help=f"N header-only files too, and nothing else without --only; the figures to reach "
        f"are those of {MILLION:,}",
    )  # fmt: skip
    parser.add_argument(
        "--folder", type=Path, help="keep the made-up files here, or take those that are"
    )
    chosen = parser.parse_args()
    works = chosen.only or (() if chosen.images else WORKS)
    if chosen.folder:
        chosen.folder.mkdir(parents=True, exist_ok=True)
    idleness = Idleness.begin()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        cohorts = chosen.folder or Path(name)
        bench = Bench(Path(name).resolve(), cohorts.resolve(), chosen.rounds)
        try:
            measure(bench, works, chosen.images)
        except Failed as failed:
            tell(str(failed))
            return 1
        finally:
            print(conditions(chosen.rounds, idleness), end="\n\n")
            bench.show()
    return 0


def measure(bench: Bench, works: tuple[str, ...], images: int | None) -> None:
    if "demo" in works:
        bench.demo("`--direct`", ("--direct",), Target(seconds=4, goal=3))
    if "ct" in works:
        peers = [pydicom_loop(), *map(installed, PROGRAMS)]
        bench.cohort("CT files", bench.series(40), Target(of_loop=0.8), None, peers)
    if "osic" in works:
        target, unchanged = Target(seconds=10, of_loop=0.25), Target(seconds=0.6)
        source = bench.series(176, "--headers-only")
        bench.cohort("header-only files", source, target, unchanged, [pydicom_loop()])
    if "flow" in works:
        bench.demo("through the flow", ("--flow",), Target(seconds=11))
    if images:
        target, unchanged = Target(), Target()
        if images == MILLION:
            target, unchanged = Target(seconds=140, models=45, gigabytes=4), Target(seconds=4)
        bench.cohort("header-only files", bench.headers(images), target, unchanged, [])


def conditions(rounds: int, idleness: Idleness) -> str:
    """Where and how the figures were measured."""
    others = idleness.others()
    told = (
        f"Medians of {rounds} rounds (least to most) on {os.cpu_count()} cores; "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, "
        f"dicomhouse {version('dicomhouse')}, pydicom {version('pydicom')}."
    )
    if others is None:
        return told + " How busy others kept the machine, the system does not tell."
    told += f" Others kept {others:.2f} of the cores busy meanwhile"
    return told + (": seconds are not those of an idle machine." if others > NOT_IDLE else ".")


if __name__ == "__main__":
    sys.exit(main())
