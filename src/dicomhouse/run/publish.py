"""From a lake to a published generation: its DuckDB file, the models, the report, the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dicomhouse import versions
from dicomhouse.lake.records import total
from dicomhouse.run.context import Run, identity
from dicomhouse.run.extract import Lake
from dicomhouse.run.plan import DRIFT
from dicomhouse.run.verify import digests_before
from dicomhouse.store import failures, generations
from dicomhouse.warehouse.plan import Compilation, NodeResult

if TYPE_CHECKING:
    from dicomhouse.pixels.gallery import Pictures

_FEW_ELEMENTS = 5_000_000
"""Up to these, to plan the models' queries takes longer than to carry them out."""
_PICTURED = 12
"""Volumes that the page of a run that measures pixels has pictures of."""


def register(run: Run, lake: Lake, compilation: Compilation) -> None:
    """Make the generation's DuckDB file, with views over its lake, and compare repeated pixels.

    Raises:
        ModelsFailed: the dbt project cannot be compiled.
    """
    from dicomhouse.warehouse import database
    from dicomhouse.warehouse.pixels import digest_repeated

    with run.clock.step("wait for dbt"):
        template = compilation.template()
    generation, settings = run.generation, run.settings
    with run.clock.step("register"):
        previous = run.published.database if run.published and "format" in run.before else None
        database.register(
            generation.database,
            generation.lake,
            settings.tolerances,
            lake.plan.other_contents,
            record(run, lake)
            | {
                "forgotten": settings.forget,
                "failed": _failed(run),
                "salt": run.finding_salt,
                "waiver_list": run.waiver_list,
            },
            previous,
            template,
            settings.expect,
        )
    with run.clock.step("pixels"):
        kept = None if settings.full_refresh else digests_before(run)
        digest_repeated(
            generation.database, generation.lake, run.depends_on["sources"], kept, settings.jobs,
            settings.budget,
        )  # fmt: skip
    if settings.pixels:
        from dicomhouse.run.pixels import measure_pixels

        measure_pixels(run)


def transform(run: Run, lake: Lake, compilation: Compilation) -> list[NodeResult]:
    """Run the dbt models and their tests.

    Raises:
        ModelsFailed: naming what failed; the published generation stays.
    """
    from dicomhouse.warehouse import models

    with run.clock.step("models"):
        is_small = sum(part.elements for part in lake.parts) <= _FEW_ELEMENTS
        threads = min(2, run.settings.jobs) if is_small else 1
        plan = compilation.plan()
        results = models.build(
            run.generation.database,
            plan,
            threads,
            lambda done, of: run.clock.count("models", done, "dbt nodes", of),
        )
    n_run = len(results) - len(plan.done)  # others came with the template
    run.say(f"models: {n_run} dbt nodes in {run.clock.seconds['models']:.1f} s")
    return results


def report(run: Run, lake: Lake) -> None:
    """Write the generation's HTML report, with pictures where the run measures pixels."""
    from dicomhouse.report import render
    from dicomhouse.warehouse import database

    generation = run.generation
    pictures: Pictures = {}
    with database.connect(generation.database, generation.lake) as connection:
        if run.settings.pixels:
            from dicomhouse.pixels.gallery import gallery

            with run.clock.step("pictures"):
                pictures = gallery(
                    connection, _PICTURED, run.settings.jobs,
                    lambda done, of: run.clock.count("pictures", done, "volumes", of),
                )  # fmt: skip
        with run.clock.step("report"):
            page = render(connection, record(run, lake), pictures=pictures)
        generation.report.mkdir()
        (generation.report / "index.html").write_text(page, encoding="utf-8")


def publish(run: Run, lake: Lake) -> dict[str, Any]:
    """Make the generation current and return its record (`run.json`)."""
    from dicomhouse.warehouse import database

    finished = record(run, lake)
    with run.clock.step("publish"):
        database.finish(run.generation.database, finished)
        generations.publish(run.settings.warehouse, run.generation, finished)
    failures.clear(run.settings.warehouse)
    generations.prune(run.settings.warehouse, run.settings.keep_generations)
    return finished


def record(run: Run, lake: Lake) -> dict[str, Any]:
    """What is known of the run by now: nothing that was read from a file."""
    return {
        "format": versions.FORMAT,
        "generation": run.generation.number,
        **identity(run.run_id, run.started_at),
        **run.depends_on,
        "reasons": lake.plan.reasons,
        "passed_over": dict(lake.plan.passed_over),
        "waiting": dict(lake.plan.waiting),
        "drift": {what: lake.plan.drift[what] for what in DRIFT},
        "settings": run.settings.as_json(),
        **total(lake.parts),
        "parts": len(lake.parts),
        "seconds": {step: round(seconds, 3) for step, seconds in run.clock.seconds.items()},
    }


def _failed(run: Run) -> list[dict[str, Any]]:
    """The runs before this one that published nothing; without their words where some forget."""
    failed = failures.noted(run.settings.warehouse)
    return [one | {"failure": None} for one in failed] if run.settings.forget else failed
