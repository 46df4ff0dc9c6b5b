"""`dicomhouse expect`: what should be here, against what is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from dicomhouse.cli.shared import add_format, add_generation, opened, say, statement
from dicomhouse.output import write

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
    from dicomhouse.warehouse.database import query

    with opened(chosen) as warehouse:
        if chosen.file is not None:
            from dicomhouse.warehouse.expected import compare

            compare(warehouse.connection, chosen.file)
        counts = query(warehouse.connection, statement("expected_counts"))
        asked = {"states": chosen.state or []}
        if chosen.format != "table":
            write(query(warehouse.connection, statement("expected_entities"), asked), chosen.format)
        elif not counts.num_rows:
            of_none = "no list: name a file, or build with --expect FILE"
            print("nothing is listed, and nothing is here" if chosen.file else of_none)
        else:
            write(counts, "table")
            shown = chosen.state or [state for state in STATES if state != "complete"]
            examples = query(
                warehouse.connection, statement("expected_examples"),
                {"states": shown},
            )  # fmt: skip
            _write_examples(examples)
    return int(not _LACKS.isdisjoint(counts.column("state").to_pylist()))


def _write_examples(rows: Any) -> None:
    """The first few of each state, and how many more."""
    if not rows.num_rows:
        return
    print()
    write(rows.drop_columns(["more"]), "table")
    more = {row["state"]: row["more"] for row in rows.to_pylist() if row["more"]}
    for state, n in more.items():
        say(f"{n:,} more {state}: all with --state {state} --format csv")
