"""The build flow: order, retries, states and artifacts. What a step does stands in the package."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import ThreadPoolTaskRunner

from dicomhouse import pipeline
from dicomhouse.lake.extract import extract_batch
from dicomhouse.lake.parts import PartSummary
from dicomhouse.pipeline import Run
from dicomhouse.processes import light_pool
from dicomhouse.settings import Settings


@task(cache_policy=NO_CACHE)
def scan(run: Run) -> list[Path]:
    return pipeline.plan(run)


@task(task_run_name="extract {work.stem}", cache_policy=NO_CACHE)
def extract(pool: Executor, work: Path, lake: Path) -> PartSummary:
    return pipeline.checked(pool.submit(extract_batch, work, lake).result)


@task(cache_policy=NO_CACHE)
def finish_lake(run: Run, summaries: list[PartSummary]) -> None:
    pipeline.finish_lake(run, summaries)


@task(cache_policy=NO_CACHE)
def register(run: Run) -> None:
    pipeline.register(run)


@task(cache_policy=NO_CACHE)
def transform(run: Run) -> None:
    results = pipeline.transform(run)
    rows = [
        {"node": node.name, "kind": node.kind, "status": node.status, "seconds": node.seconds}
        for node in results
    ]
    create_table_artifact(rows, key="dbt-results", description="How each dbt node ended.")


@task(cache_policy=NO_CACHE)
def report(run: Run) -> None:
    pipeline.report(run)


@task(cache_policy=NO_CACHE)
def publish(run: Run) -> dict[str, Any]:
    record = pipeline.publish(run)
    rows = [{"status": status, "files": count} for status, count in record["files"].items()]
    create_table_artifact(rows, key="files-by-status", description=f"Run {run.run_id}.")
    return record


@flow(
    name="build",
    task_runner=ThreadPoolTaskRunner(),  # type: ignore[arg-type]
    validate_parameters=False,
)
def build(
    sources: list[str],
    warehouse: str,
    jobs: int | None = None,
    keep_generations: int = 2,
    tolerances: dict[str, float] | None = None,
) -> dict[str, Any]:
    """Folders of DICOM files in, a published generation of the warehouse out.

    Args:
        sources: folders, each `PATH` or `NAME=PATH`.
        warehouse: the folder of the warehouse.
        jobs: worker processes; as many as there are cores if not given.
        keep_generations: how many published generations stay.
        tolerances: by rule, what this run allows instead of the default.
    """
    chosen: dict[str, Any] = {} if jobs is None else {"jobs": jobs}
    settings = Settings(
        sources=tuple(sources),
        warehouse=Path(warehouse),
        keep_generations=keep_generations,
        tolerances=tolerances or {},
        **chosen,
    )
    with pipeline.begin(settings, get_run_logger().info) as run:
        work = scan(run)
        with run.step("extract"), light_pool(min(settings.jobs, len(work))) as pool:
            futures = [extract.submit(pool, path, run.generation.lake) for path in work]
            summaries = []
            for future in futures:
                summaries.append(future.result())
                pipeline.extracted(run, len(summaries), len(work), sum(s.files for s in summaries))
        finish_lake(run, summaries)
        register(run)
        transform(run)
        report(run)
        return publish(run)
