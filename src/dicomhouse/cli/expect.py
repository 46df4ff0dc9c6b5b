"""`dicomhouse expect`: what should be here, against what is."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dicomhouse.cli.shared import add_format, add_generation, opened, say, statement
from dicomhouse.output import write, write_all

HELP = "Compare a list of what should be here with what is; exit code 1 when something is not."
EXAMPLES = (
    ("expect study-list.csv", "a line a patient, study, series or instance, with their counts"),
    ("expect cfind.json --state missing --format csv > ask-again.csv", "what an archive has more"),
    ("expect", "the list that the warehouse was built with"),
)
STATES = ("invalid", "missing", "incomplete", "surplus", "unasked", "present", "complete")
_LACKS = {"invalid", "missing", "incomplete"}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", nargs="?", type=Path,
        help="CSV or Parquet with columns such as StudyInstanceUID and "
        "NumberOfStudyRelatedInstances (or instances), or what a C-FIND found as DICOM JSON; "
        "none: the list of the last build",
    )  # fmt: skip
    parser.add_argument(
        "--state", action="append", choices=STATES, metavar="STATE",
        help=f"only this one: {', '.join(STATES)}",
    )  # fmt: skip
    add_generation(parser)
    add_format(parser)


def run(chosen: argparse.Namespace) -> int:
    from dicomhouse.warehouse.database import query, stream

    with opened(chosen) as warehouse:
        connection = warehouse.connection
        if chosen.file is not None:
            from dicomhouse.warehouse.expected import compare

            compare(connection, chosen.file)
        if chosen.format != "table":
            asked = {"states": chosen.state or []}
            states: set[str] = set()
            rows = stream(connection, statement("expected_entities"), asked)
            write_all(_noted(rows, states), chosen.format)
            if not chosen.state:
                return _exit_code(states)
        connection.execute(statement("group_expected"))
        counts = query(connection, statement("expected_counts"))
        if chosen.format == "table":
            shown = chosen.state or [state for state in STATES if state != "complete"]
            asked = {"states": shown}
            _write_overview(
                counts, query(connection, statement("expected_examples"), asked), chosen
            )
    return _exit_code(counts.column("state").to_pylist())


def _exit_code(states: Iterable[str]) -> int:
    return int(not _LACKS.isdisjoint(states))


def _noted(batches: Iterable[Any], states: set[str]) -> Iterator[Any]:
    """Rows as they come, and to the states those that they have."""
    for rows in batches:
        states.update(rows.column("state").unique().to_pylist())
        yield rows


def _write_overview(counts: Any, examples: Any, chosen: argparse.Namespace) -> None:
    if not counts.num_rows:
        of_none = "no list: name a file, or build with --expect FILE"
        print("nothing is listed, and nothing is here" if chosen.file else of_none)
        return
    write(counts, "table")
    _write_examples(examples)


def _write_examples(rows: Any) -> None:
    """The first few of each state, and how many more."""
    if not rows.num_rows:
        return
    print()
    write(rows.drop_columns(["more"]), "table")
    more = {row["state"]: row["more"] for row in rows.to_pylist() if row["more"]}
    for state, n in more.items():
        say(f"{n:,} more {state}: all with --state {state} --format csv")
