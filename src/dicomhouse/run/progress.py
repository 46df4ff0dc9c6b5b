"""How far a run is: the steps it is in, how much of each is done, and who shows it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

_TICK_SECONDS = 0.25
_SILENT_SECONDS = 4.5
"""After these a line is due: no step stays silent for more than five."""
_SHOWN_AFTER_SECONDS = 1.0


@dataclass
class Step:
    """A step that a run is in, and what is done of it: a count, and never what is counted."""

    name: str
    begun: float
    done: int = 0
    total: int | None = None
    """None while it is not known."""
    unit: str = ""

    def text(self, now: float) -> str:
        """Such as `extract: 12,000 of 40,000 files, 3,200 a second, about 9 s left`."""
        seconds = now - self.begun
        if not self.done:
            return f"{self.name}: {seconds:,.0f} s"
        of = f" of {self.total:,}" if self.total else ""
        rate = self.done / max(seconds, 0.001)
        speed = f"{rate:,.0f}" if rate >= 1 else f"{rate:.1g}"
        text = f"{self.name}: {self.done:,}{of} {self.unit}, {speed} a second"
        if self.total and self.done < self.total:
            text += f", about {(self.total - self.done) / rate:,.0f} s left"
        return text


@dataclass
class Clock:
    """How long a run was at each of its steps and at nothing else: together, all of its time."""

    seconds: dict[str, float] = field(default_factory=dict)
    _in_steps: float = 0.0
    """Seconds of the steps within the present one."""
    _known: dict[str, Step] = field(default_factory=dict)
    _present: list[str] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step, or some more of it, under its name.

        What passes in a step within it counts for that one alone.
        """
        begun, around = time.perf_counter(), self._in_steps
        self._in_steps = 0.0
        self._known.setdefault(name, Step(name, begun))
        self._present.append(name)
        try:
            yield
        finally:
            self._present.pop()
            took = time.perf_counter() - begun
            self.seconds[name] = self.seconds.get(name, 0.0) + took - self._in_steps
            self._in_steps = around + took

    def count(self, name: str, done: int, unit: str, total: int | None = None) -> None:
        """Note how much is done of a step that the run is in."""
        step = self._known.setdefault(name, Step(name, time.perf_counter()))
        step.done, step.unit, step.total = done, unit, total

    def present(self) -> list[Step]:
        """The steps that the run is in, the outermost first."""
        return [self._known[name] for name in tuple(self._present)]


Show = Callable[[Sequence[Step]], None]
"""Shows the steps that a run is in, the outermost first; none: the run is over."""
Say = Callable[[str], None]


class Lines:
    """Says a line where nothing was said for some seconds."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._said = time.perf_counter()

    def say(self, line: str) -> None:
        """Say something else."""
        self._said = time.perf_counter()
        self._say(line)

    def __call__(self, steps: Sequence[Step]) -> None:
        now = time.perf_counter()
        if steps and now - self._said > _SILENT_SECONDS:
            self.say(steps[-1].text(now))


class Bars:
    """Draws a bar on the terminal for each step that takes over a second."""

    def __init__(self) -> None:
        self._drawn: Any = None
        self._bars: dict[str, Any] = {}

    def __call__(self, steps: Sequence[Step]) -> None:
        now = time.perf_counter()
        shown = [step for step in steps if now - step.begun > _SHOWN_AFTER_SECONDS]
        if not shown:
            if self._drawn is not None:
                self._drawn.stop()
                self._drawn, self._bars = None, {}
            return
        if self._drawn is None:
            self._drawn = _progress()
            self._drawn.start()
        for name in self._bars.keys() - {step.name for step in shown}:
            self._drawn.remove_task(self._bars.pop(name))
        for step in shown:
            if step.name not in self._bars:
                self._bars[step.name] = self._drawn.add_task(step.name, total=None, text="")
            text = step.text(now).partition(": ")[2]
            self._drawn.update(
                self._bars[step.name], completed=step.done, total=step.total, text=text
            )


def _progress() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(24),
        TextColumn("{task.fields[text]}", markup=False),
        console=Console(file=sys.stderr),
        transient=True,
    )


@contextmanager
def shown(clock: Clock, show: Show) -> Iterator[None]:
    """Have it shown several times a second which steps the run is in, from a thread."""
    over = Event()

    def watch() -> None:
        while not over.wait(_TICK_SECONDS):
            show(clock.present())

    thread = Thread(target=watch, daemon=True, name="progress")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        show([])
