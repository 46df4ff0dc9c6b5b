"""Run a command as a user does, and tell what it took: all its processes together.

Who measures stays small: on Linux a child's peak memory is never told as less than what its parent
had when it started it. So this module, and who uses it, import nothing large.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
SAMPLING_SECONDS = 0.1
_WORDS = 2_000
"""Characters of a failed command's last words that are shown."""


class Failed(Exception):
    """A measured command failed; the message has its last words."""


@dataclass(frozen=True)
class Use:
    """What a command took, its children included."""

    seconds: float
    """By the clock, from its start to its end."""
    cpu_seconds: float
    """Of the command and of those children that it waited for."""
    largest_bytes: int
    """Peak resident memory of its largest process."""
    together_bytes: int | None
    """The most memory that its processes had at one moment, as `Watch` adds it up; None without
    /proc."""


def run(
    command: Sequence[str | Path], *, folder: Path, environment: Mapping[str, str] | None = None
) -> Use:
    """Run a command in `folder` and wait for it. Raises `Failed` unless it ends with 0."""
    with tempfile.TemporaryFile() as words:
        begun = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=words, stderr=words, start_new_session=True,
        )  # fmt: skip
        watch = Watch(child.pid)
        try:
            _, status, used = os.wait4(child.pid, 0)
        except BaseException:
            child.terminate()
            child.wait()
            raise
        finally:
            watch.close()
        seconds = time.perf_counter() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            words.seek(0)
            last = words.read().decode(errors="replace")[-_WORDS:]
            program = " ".join(map(str, command))
            raise Failed(f"{program}\nended with {child.returncode}. Its last words:\n{last}")
    largest = max(peak_bytes(used), watch.largest_bytes)
    together = max(largest, watch.together_bytes) if watch.together_bytes else None
    return Use(seconds, used.ru_utime + used.ru_stime, largest, together)


def peak_bytes(used: resource.struct_rusage) -> int:
    """Peak resident memory in bytes, which systems tell in units of their own."""
    return used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class Watch:
    """Look ten times a second how much memory a session's processes have.

    All together is their own memory (heap and stack), and once the largest share of mapped files:
    the libraries that they have in common would count several times otherwise. Children that left
    the session, and those that nobody waited for, are seen too, as long as they live.
    """

    def __init__(self, leader: int) -> None:
        self.largest_bytes = 0
        self.together_bytes = 0
        self._leader = leader
        self._family = {leader}
        self._strangers: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        if PROC.is_dir():
            self._thread.start()

    def close(self) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _look_on(self) -> None:
        while not self._over.wait(SAMPLING_SECONDS):
            self.look()

    def look(self) -> None:
        own = shared = 0
        for name in (place.name for place in PROC.iterdir()):
            if name in self._strangers or not name.isdecimal():
                continue
            try:
                if not self._is_ours(name):
                    self._strangers.add(name)
                    continue
                pages = (PROC / name / "statm").read_bytes().split()
            except OSError:  # it has ended
                continue
            resident, mapped = int(pages[1]), int(pages[2])
            own += resident - mapped
            shared = max(shared, mapped)
            self.largest_bytes = max(self.largest_bytes, resident * resource.getpagesize())
        self.together_bytes = max(self.together_bytes, (own + shared) * resource.getpagesize())

    def _is_ours(self, name: str) -> bool:
        stat = (PROC / name / "stat").read_bytes()
        # A program's name, in brackets, may hold anything.
        _, parent, _, session = stat[stat.rindex(b")") + 1 :].split()[:4]
        if int(session) != self._leader and not self._family & {int(parent), int(name)}:
            return False
        self._family.add(int(name))
        return True


@dataclass
class Idleness:
    """How many of the machine's cores others kept busy since this was made."""

    begun: float
    busy: float | None
    own: float

    @classmethod
    def begin(cls) -> Idleness:
        return cls(time.monotonic(), _busy_seconds(), _own_seconds())

    def others(self) -> float | None:
        """Cores that others used, on the average; None where the system does not tell."""
        busy = _busy_seconds()
        if busy is None or self.busy is None:
            return None
        others = (busy - self.busy) - (_own_seconds() - self.own)
        return max(0.0, others / (time.monotonic() - self.begun))


def _busy_seconds() -> float | None:
    """Seconds of all cores that were spent on any work since the machine's start."""
    try:
        with (PROC / "stat").open() as lines:
            user, nice, system, _idle, _wait, irq, softirq, *_ = map(int, next(lines).split()[1:])
    except OSError:
        return None
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
