"""The build flow: order, retries, states and artifacts. What a step does stands in the package."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar, cast
from uuid import UUID

from prefect import flow, get_run_logger, task
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.exceptions import TerminationSignal
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from dicomhouse.errors import DicomhouseError, Interrupted, StorageStalled
from dicomhouse.lake.records import PartRecord
from dicomhouse.output import printable
from dicomhouse.processes import is_interruption
from dicomhouse.run import build as steps
from dicomhouse.run import outcome
from dicomhouse.run.context import Run, begin
from dicomhouse.run.progress import Lines, Step
from dicomhouse.run.workers import checked
from dicomhouse.settings import SERVED, Settings
from dicomhouse.store import jobs as work_lists
from dicomhouse.warehouse.plan import NodeResult

P = ParamSpec("P")
T = TypeVar("T")

NEW_ERRORS = "dicomhouse.findings.new-errors"
"""The event that a run emits whose warehouse has findings of error severity that are new."""
_LONGEST_SECONDS = 24 * 3_600
"""Then a run is ended, lest it stand in the way of all that follow."""
_NAMED_SOURCES = 3


def _without_expected_traceback(record: logging.LogRecord) -> bool:
    """Log what a user may meet by its message alone, as the command line does."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, DicomhouseError) or is_interruption(error):
        record.exc_info = None
    return True


for name in ("prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(name).addFilter(_without_expected_traceback)


def without_names(step: Callable[P, T]) -> Callable[P, T]:
    """Let a step fail in words that may stand in Prefect's logs and database."""

    @wraps(step)
    def carried_out(*given: P.args, **named: P.kwargs) -> T:
        try:
            return step(*given, **named)
        except DicomhouseError as error:
            raise error.without_names() from None
        except RuntimeError as error:
            if SERVED in os.environ and is_interruption(error):
                # DuckDB has taken Prefect's signal for its own.
                raise TerminationSignal(signal.SIGTERM) from None
            raise

    return carried_out


def may_pass(task: object, run: object, state: State[Any]) -> bool:
    """Whether a batch failed by what may be over in a moment."""
    return isinstance(state.result(raise_on_failure=False), StorageStalled)


@task(
    task_run_name="{title}",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=[10, 60],
    retry_condition_fn=may_pass,
)
@without_names
def carry_out(pool: Executor, work: Path, extractor: str, title: str) -> Any:
    """The record of the part; a state where the run ends, which is not a failure of this batch."""
    try:
        return checked(pool.submit(work_lists.carry_out, work, extractor).result)
    except Interrupted as error:
        return Cancelled(message=str(error))


class ByPrefect:
    """Performs each step as a task of its name, and each batch; shows how far they are."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._lines = Lines(say)
        self.say = self._lines.say
        self.found: list[dict[str, Any]] = []
        """Findings by rule, once the models are built."""
        self._artifact: UUID | None = None
        self._shown = 0.0

    def perform(self, step: Callable[P, T], /, *given: P.args, **named: P.kwargs) -> T:
        name = step.__name__.replace("_", " ")
        performed = task(name=name, task_run_name=name, cache_policy=NO_CACHE)(without_names(step))
        result = performed(*given, **named)
        if step.__name__ == "prepare" and result is not None:
            described = "Files read, of those that are new or changed."
            self._artifact = cast(UUID, create_progress_artifact(0.0, "extraction", described))
        elif step.__name__ == "finish_lake":
            self._show(100.0)
        elif step.__name__ == "transform":
            _show_models(result)  # type: ignore[arg-type]
            self.found = outcome.findings_by_rule(given[0])  # type: ignore[arg-type]
        return result

    def begin(self, pool: Executor, work: Path, extractor: str, title: str) -> Any:
        return carry_out.submit(pool, work, extractor, title)

    def end(self, begun: Any) -> PartRecord:
        record: PartRecord = begun.result()
        return record

    def show(self, present: Sequence[Step]) -> None:
        """Tell how far the run is, from a thread that is not the run's own."""
        self._lines(present)
        for step in present:
            if step.name == "extract" and step.total:
                self._show(100.0 * step.done / step.total)

    def _show(self, percent: float) -> None:
        if self._artifact is not None and percent - self._shown >= 1:
            self._shown = percent
            update_progress_artifact(self._artifact, progress=round(percent, 1))


def _show_models(nodes: list[NodeResult]) -> None:
    """The slowest models, and the tests that did not pass."""
    shown = [node for node in nodes if node.kind != "test" or node.status != "pass"]
    rows: list[dict[str, Any]] = [
        {"node": node.name, "kind": node.kind, "status": node.status, "seconds": node.seconds}
        for node in sorted(shown, key=lambda node: -node.seconds)
    ]
    create_table_artifact(
        rows,
        key="seconds-per-model",
        description="dbt's models, the slowest first, and its tests that did not pass.",
    )


def _show_outcome(run: Run, record: dict[str, Any], found: list[dict[str, Any]]) -> None:
    """Make artifacts of what was published, and an event of new errors."""
    files = [{"status": status, "files": count} for status, count in record["files"].items()]
    described = f"Generation {record['generation']}."
    create_table_artifact(files, key="files-by-status", description=described)
    new = [row for row in found if row["new"]]
    create_table_artifact(
        new, key="new-findings", description=f"{described} By rule; none: nothing new."
    )
    create_markdown_artifact(
        outcome.summary(record, found, run.settings.warehouse),
        key="summary",
        description=described,
    )
    if n_errors := sum(row["new"] for row in new if row["severity"] == "error"):
        count = f"{n_errors:,} new error{'s' if n_errors > 1 else ''}"
        resource = {"prefect.resource.id": "dicomhouse.findings", "prefect.resource.name": count}
        emit_event(NEW_ERRORS, resource, payload={"errors": n_errors})


def _when() -> str:
    """The name of a run that does not know its generation yet."""
    return f"build {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


@flow(
    name="build",
    task_runner=ThreadPoolTaskRunner(),  # type: ignore[arg-type]
    flow_run_name=_when,
    timeout_seconds=_LONGEST_SECONDS,
)
def build(
    sources: list[Annotated[str, Field(min_length=1)]],
    warehouse: Annotated[str, Field(min_length=1)],
    jobs: Annotated[int, Field(ge=1)] | None = None,
    dask: str = "",
    keep_generations: Annotated[int, Field(ge=1)] = 2,
    tolerances: dict[str, Annotated[float, Field(ge=0)]] | None = None,
    waivers: str | None = None,
    include: list[str] | None = None,
    exclude: list[str] | None = None,
    settle: Annotated[int, Field(ge=0)] = 0,
    expect: str | None = None,
    forget: list[str] | None = None,
    full_refresh: bool = False,
    retry: bool = False,
    verify: bool = False,
    pixels: bool = False,
    allow_empty: bool = False,
    allow_shrink: bool = False,
) -> Any:
    """Folders of DICOM files in, a published generation of the warehouse out.

    Args:
        sources: each a folder, an archive, an object store's address or `@FILE`, or
            `NAME=PLACE`; none: those that the warehouse has.
        warehouse: the folder of the warehouse.
        jobs: worker processes; as many as there are cores if not given.
        dask: address of a Dask scheduler on whose workers the files are read.
        keep_generations: how many published generations stay.
        tolerances: by rule, what this run allows instead of the default.
        waivers: the file of findings that someone has accepted; else the warehouse's own.
        include: globs; only what one of them matches is read.
        exclude: globs; what one of them matches is passed over.
        settle: seconds; a folder with a file that changed less than so long ago waits.
        expect: a list of what should be there: CSV, Parquet, or a C-FIND's DICOM JSON.
        forget: names of sources whose files leave the warehouse.
        full_refresh: read every file of the sources again.
        retry: read again what could not be read in full.
        verify: compare what the files hold, not only their sizes and times.
        pixels: measure the values of the pixels of every file that is new or changed.
        allow_empty: believe that a source which had files has none any more.
        allow_shrink: believe that a source has lost more than a fifth of its files.

    Returns:
        The record of the generation that stands (`run.json`).
    """
    given = {name: value for name, value in locals().items() if value is not None}
    return _carried_out(lambda: Settings.of_plain(given))


@flow(
    name="build",
    task_runner=ThreadPoolTaskRunner(),  # type: ignore[arg-type]
    flow_run_name=_when,
    timeout_seconds=_LONGEST_SECONDS,
)
def served(
    full_refresh: bool = False,
    retry: bool = False,
    verify: bool = False,
    pixels: bool = False,
    allow_empty: bool = False,
    allow_shrink: bool = False,
) -> Any:
    """Folders of DICOM files in, a published generation of the warehouse out.

    Sources, warehouse and all the rest are fixed by the process that serves this: they neither
    stand in Prefect's database nor can whoever asks for a run choose them.

    Args:
        full_refresh: read every file of the sources again.
        retry: read again what could not be read in full.
        verify: compare what the files hold, not only their sizes and times.
        pixels: measure the values of the pixels of every file that is new or changed.
        allow_empty: believe that a source which had files has none any more.
        allow_shrink: believe that a source has lost more than a fifth of its files.
    """
    chosen = {name: True for name, is_chosen in locals().items() if is_chosen}
    return _carried_out(lambda: Settings.of_served(os.environ[SERVED], **chosen))


def _carried_out(settings: Callable[[], Settings]) -> Any:
    """A whole run; a state with one sentence where it fails as a user may expect."""
    logger = get_run_logger()
    by = ByPrefect(lambda line: logger.info(printable(line)))
    try:
        with begin(settings(), by.say, show=by.show) as run:
            labels = list(run.labels.values())
            more = len(labels) - _NAMED_SOURCES
            sources = ", ".join(labels[:_NAMED_SOURCES]) + (f" and {more} more" if more > 0 else "")
            _name(f"{sources} · generation {run.generation.number}")
            record = steps.build(run, by)
            if record is run.before:
                _name(f"{sources} · still generation {record['generation']}")
                message = f"nothing changed since generation {record['generation']}"
                return Completed(message=message, data=record)
            _show_outcome(run, record, by.found)
            return record
    except DicomhouseError as error:
        nameless = error.without_names()
        return Failed(message=str(nameless), data=nameless)
    except ValueError as error:
        # What Prefect says, with a traceback, where a signal comes while it makes a task run.
        if isinstance(error.__context__, (TerminationSignal, KeyboardInterrupt)):
            raise error.__context__ from None
        raise


def _name(name: str) -> None:
    with get_client(sync_client=True) as client:
        client.update_flow_run(UUID(flow_run.get_id()), name=name)
