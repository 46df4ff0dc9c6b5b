"""How a warehouse stands, as values: the last run, what came of it, and what to look at.

A person reads them as the night's mail, a program as JSON. They hold counts, names of rules and
times, and nothing that was read from a file.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from dicomhouse.errors import UsageError
from dicomhouse.reader import Warehouse
from dicomhouse.resources import resource
from dicomhouse.store import failures, unchanged

_OF_RUN = (
    "run_id", "generation", "started_at", "finished_at", "reasons", "files", "images", "elements",
    "lake_bytes", "seconds",
)  # fmt: skip


def status_of(folder: Path, generation: int | None = None, since: str = "last") -> dict[str, Any]:
    """The state of a warehouse.

    Args:
        folder: the warehouse's folder.
        generation: the one to look at instead of the current one.
        since: what came, went, is new or fixed is counted from this run on, by its id or its
            generation; `last` for what the last run did, which is nothing where it found nothing
            changed, or failed.

    Returns:
        `last_run`: its `outcome` (`published`, `unchanged`, `failed`), `run_id`, `started_at` and
        `finished_at` (UTC), and `failure` (None if it did not).
        `failed_runs`: those since the generation, oldest first, likewise.
        `run`: of the run that published the generation, and `seconds` by step.
        `since`: `run_id` and `generation`; None where nothing was there before.
        `changes`: by `files`, `series` and `tags` how many were added, changed, and so on.
        `findings`, `waived`: how many there are by severity, and how many of these are waived.
        `finding_changes`: rows of `change` (`new`, `fixed`, `worse`, `better`, `waived`,
        `unwaived`), `severity`, `rule` and `findings`.
        `not_read`: rows of `source`, `status`, `reason` and `files`.
        `waivers`: lines to look at: `line`, `rule`, `state`, `problem`.
        `expected`: how many entities of the list are in which state; empty where there is no list.
        `report`: the page of the generation.

    Raises:
        UsageError: there was no such run.
        WarehouseNotFound: nothing was published there.
    """
    from dicomhouse.warehouse.database import query

    failed = [] if generation else failures.noted(folder)
    with Warehouse(folder, generation) as warehouse:
        number = warehouse.generation.number
        record = warehouse.generation.run()
        looked = None if generation else unchanged.noted(folder, number)

        def statement(name: str) -> str:
            return resource("sql", "commands", f"{name}.sql").read_text()

        def rows(name: str, **variables: str | int) -> list[dict[str, Any]]:
            return query(warehouse.connection, statement(name), variables).to_pylist()

        last_run = _last_run(record, looked, failed)
        found = rows("run_before", run=since, generation=number)
        if not found and since != "last":
            there = ", ".join(row["run_id"] for row in rows("last_runs") if row["generation"])
            raise UsageError(f"no run {since}; there were: {there}.")
        before = found[0] if found else None
        if since == "last" and last_run["outcome"] != "published":
            before = {"run_id": record["run_id"], "generation": number}
        start = before["generation"] if before else number
        changes: dict[str, dict[str, int]] = {"files": {}, "series": {}, "tags": {}}
        for row in rows("change_counts", generation=start):
            changes[row["entities"]][row["change"]] = row["count"]
        counts = {row["severity"]: row for row in rows("finding_counts")}
        none = {"findings": 0, "waived": 0}
        warehouse.connection.execute(statement("group_expected"))
        return {
            "last_run": last_run,
            "failed_runs": failed,
            "run": {name: record[name] for name in _OF_RUN},
            "since": before,
            "changes": changes,
            "findings": {s: counts.get(s, none)["findings"] for s in "EWI"},
            "waived": {s: counts.get(s, none)["waived"] for s in "EWI"},
            "finding_changes": rows("finding_changes", generation=start),
            "not_read": rows("quarantined"),
            "waivers": rows("waivers_to_look_at"),
            "expected": _by_state(rows("expected_counts")),
            "report": str(warehouse.generation.report / "index.html"),
        }


def is_news(folder: Path, generation: int) -> bool:
    """Whether no later run found nothing changed, or failed: what it found new is new still."""
    return not failures.noted(folder) and unchanged.noted(folder, generation) is None


def _by_state(rows: list[dict[str, Any]]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row["state"]] += row["entities"]
    return dict(counts)


def _last_run(
    record: dict[str, Any], looked: dict[str, Any] | None, failed: list[dict[str, Any]]
) -> dict[str, Any]:
    outcomes = [{**record, "outcome": "published", "failure": None}]
    outcomes += [{**looked, "outcome": "unchanged", "failure": None}] if looked else []
    outcomes += [{**one, "outcome": "failed"} for one in failed]
    last = max(enumerate(outcomes), key=lambda one: (one[1]["finished_at"], one[0]))[1]
    names = ("outcome", "run_id", "started_at", "finished_at", "failure")
    return {name: last[name] for name in names}
