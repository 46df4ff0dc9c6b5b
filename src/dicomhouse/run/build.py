"""The order of a run's steps. Who performs them, a flow or a loop, changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import closing
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from dicomhouse.lake.records import PartRecord
from dicomhouse.run.context import Run, begin
from dicomhouse.run.extract import Lake, finish_lake, make_parts
from dicomhouse.run.plan import Work, prepare, unchanged
from dicomhouse.run.progress import Say, Show
from dicomhouse.run.publish import publish, register, report, transform
from dicomhouse.run.workers import checked
from dicomhouse.settings import Settings
from dicomhouse.store.jobs import carry_out
from dicomhouse.warehouse.plan import Compilation

P = ParamSpec("P")
T = TypeVar("T")


class Performer(Protocol):
    """Who performs the steps."""

    def perform(self, step: Callable[P, T], /, *given: P.args, **named: P.kwargs) -> T:
        """What the step returns, or raises."""

    def begin(self, pool: Executor, work: Path, extractor: str, title: str) -> Any:
        """Hand a work list to the workers; returns its future.

        Args:
            pool: the workers.
            work: the list.
            extractor: what decides how a file is read.
            title: what people call it.
        """

    def end(self, begun: Any) -> PartRecord:
        """The record of a future that is done, or what it raised as an error of the run."""


class Plainly:
    """Performs a step by calling it."""

    def perform(self, step: Callable[P, T], /, *given: P.args, **named: P.kwargs) -> T:
        return step(*given, **named)

    def begin(self, pool: Executor, work: Path, extractor: str, title: str) -> Any:
        return pool.submit(carry_out, work, extractor)

    def end(self, begun: Any) -> PartRecord:
        return checked(begun.result)


def build(run: Run, by: Performer) -> dict[str, Any]:
    """Build and publish a generation where something changed.

    Returns:
        The record of the generation that stands.
    """
    work = by.perform(prepare, run)
    if work is None:
        return unchanged(run)
    # Where dbt has to compile the models, it does so while the files are read.
    with closing(Compilation(run.generation.work, run.say)) as compilation:
        lake = make_lake(run, work, by)
        by.perform(register, run, lake, compilation)
        by.perform(transform, run, lake, compilation)
        by.perform(report, run, lake)
        return by.perform(publish, run, lake)


def make_lake(run: Run, work: Work, by: Performer) -> Lake:
    """Carry out all that was prepared."""
    made = make_parts(run, work, by.begin, by.end)
    assert work.plan is not None  # since all lists are known
    return by.perform(finish_lake, run, work.plan, made)


def build_direct(settings: Settings, say: Say, show: Show | None = None) -> dict[str, Any]:
    """A whole run without an orchestrator; returns the record of the generation that stands."""
    with begin(settings, say, show=show) as run:
        return build(run, Plainly())
