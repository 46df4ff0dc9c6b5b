"""`dicomhouse status`: the last run, what it could not read, what changed."""

from __future__ import annotations

import argparse
import json
from typing import Any

from dicomhouse.cli.shared import add_generation, opened, statement
from dicomhouse.errors import UsageError
from dicomhouse.output import printable, write
from dicomhouse.store import failures, waiting

HELP = "Show the last run and what it could not read."
EXAMPLES = (("status --since 41", "what came and went since generation 41"),)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--since", metavar="RUN", help="what changed since a run (its id, or its generation)"
    )
    add_generation(parser)


def run(chosen: argparse.Namespace) -> int:
    from dicomhouse.warehouse.database import query

    for failed in failures.noted(chosen.warehouse):
        print(printable(f"failed       {failed['finished_at']}: {failed['failure']}"))
    for source, n in waiting.noted(chosen.warehouse).items():
        told = f"{n:,} new or changed files of {source}: their folders still change"
        print(printable(f"waiting      {told}"))
    with opened(chosen) as warehouse:
        if chosen.since is not None:
            return _since(warehouse.connection, chosen.since)
        record = warehouse.generation.run()
        runs = query(warehouse.connection, statement("last_runs"))
        quarantined = query(warehouse.connection, statement("quarantined"))
    for name in ("run_id", "started_at", "finished_at", "images", "elements", "lake_bytes"):
        print(f"{name:<12} {printable(str(record[name]))}")
    for name in ("files", "passed_over", "seconds"):
        print(f"{name:<12} {printable(json.dumps(record.get(name, {})))}")
    print("\nlast runs:")
    write(runs, "table")
    if quarantined.num_rows:
        print("\nnot read in full:")
        write(quarantined, "table")
    return 0


def _since(connection: Any, run: str) -> int:
    from dicomhouse.warehouse.database import query

    asked = "select run_id, generation::varchar as generation from runs where generation > 0"
    known = query(connection, asked)
    if not any(run in row.values() for row in known.to_pylist()):
        told = ", ".join(map(str, known.column("run_id").to_pylist()))
        raise UsageError(f"no run {run}; there were: {told}.")
    drift = query(connection, statement("since"), {"run": run})
    if drift.num_rows:
        write(drift, "table")
    else:
        print(f"nothing changed since run {run}")
    return 0
