"""The build flow: order, retries, states and artifacts. What a step does stands in the package."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Executor
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.states import Cancelled, Completed
from prefect.task_runners import ThreadPoolTaskRunner

from dicomhouse.errors import DicomhouseError, Interrupted
from dicomhouse.lake.records import PartRecord
from dicomhouse.output import printable
from dicomhouse.run import build as steps
from dicomhouse.run.context import begin
from dicomhouse.run.workers import checked
from dicomhouse.settings import SERVED, Settings
from dicomhouse.store import jobs as work_lists
from dicomhouse.warehouse.plan import NodeResult

P = ParamSpec("P")
T = TypeVar("T")


def without_names(step: Callable[P, T]) -> Callable[P, T]:
    """Let a step fail in words that may stand in Prefect's logs and database."""

    @wraps(step)
    def carried_out(*given: P.args, **named: P.kwargs) -> T:
        try:
            return step(*given, **named)
        except DicomhouseError as error:
            raise error.without_names() from None

    return carried_out


@task(task_run_name="{work.parent.name} {work.stem}", cache_policy=NO_CACHE)
@without_names
def carry_out(pool: Executor, work: Path, extractor: str) -> Any:
    """The record of the part; a state where the run ends, which is no failure of this batch."""
    try:
        return checked(pool.submit(work_lists.carry_out, work, extractor).result)
    except Interrupted as error:
        return Cancelled(message=str(error))


class ByPrefect:
    """Performs each step as a task of its name, and each batch."""

    def perform(self, step: Callable[P, T], /, *given: P.args, **named: P.kwargs) -> T:
        performed = task(name=step.__name__, cache_policy=NO_CACHE)(without_names(step))
        result = performed(*given, **named)
        _show(step.__name__, result)
        return result

    def begin(self, pool: Executor, work: Path, extractor: str) -> Any:
        return carry_out.submit(pool, work, extractor)

    def end(self, begun: Any) -> PartRecord:
        record: PartRecord = begun.result()
        return record


def _show(step: str, result: Any) -> None:
    """Make an artifact of what a step returned."""
    if step == "transform":
        nodes: list[NodeResult] = result
        rows: list[dict[str, Any]] = [
            {"node": node.name, "kind": node.kind, "status": node.status, "seconds": node.seconds}
            for node in nodes
        ]
        create_table_artifact(rows, key="dbt-results", description="How each dbt node ended.")
    elif step == "publish":
        rows = [{"status": status, "files": count} for status, count in result["files"].items()]
        described = f"Run {result['run_id']}."
        create_table_artifact(rows, key="files-by-status", description=described)


@flow(
    name="build",
    task_runner=ThreadPoolTaskRunner(),  # type: ignore[arg-type]
    validate_parameters=False,
)
@without_names
def build(
    sources: list[str],
    warehouse: str,
    jobs: int | None = None,
    keep_generations: int = 2,
    tolerances: dict[str, float] | None = None,
    waivers: str | None = None,
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
        sources: folders, each `PATH` or `NAME=PATH`; none: those that the warehouse has.
        warehouse: the folder of the warehouse.
        jobs: worker processes; as many as there are cores if not given.
        keep_generations: how many published generations stay.
        tolerances: by rule, what this run allows instead of the default.
        waivers: the file of findings that someone has accepted; else the warehouse's own.
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
    return _carried_out(
        Settings(
            **given
            | {
                "sources": tuple(sources),
                "warehouse": Path(warehouse),
                "waivers": waivers and Path(waivers),
                "expect": expect and Path(expect),
                "forget": tuple(forget or ()),
            }
        )
    )


def _carried_out(settings: Settings) -> Any:
    logger = get_run_logger()
    with begin(settings, lambda line: logger.info(printable(line))) as run:
        record = steps.build(run, ByPrefect())
        if record is run.before:
            told = f"nothing changed since generation {record['generation']}"
            return Completed(message=told, data=record)
        return record


@flow(name="build", task_runner=ThreadPoolTaskRunner())  # type: ignore[arg-type]
@without_names
def served(full_refresh: bool = False, retry: bool = False, verify: bool = False) -> Any:
    """The build whose sources, warehouse and all the rest the process has fixed that runs it.

    So they neither stand in Prefect's database nor can whoever asks for a run choose them.

    Args:
        full_refresh: read every file of the sources again.
        retry: read again what could not be read in full.
        verify: compare what the files hold, not only their sizes and times.
    """
    fixed = os.environ[SERVED]
    return _carried_out(
        Settings.of_served(fixed, full_refresh=full_refresh, retry=retry, verify=verify)
    )
