"""`dicomhouse check`: the findings, and whether one is an error."""

from __future__ import annotations

import argparse
from typing import Any

from dicomhouse.cli.shared import (
    SEVERITIES,
    add_format,
    add_generation,
    check_names,
    opened,
    statement,
)
from dicomhouse.errors import UsageError
from dicomhouse.output import printable, write

HELP = "Show the findings; exit code 1 when one is an error."
EXAMPLES = (
    ("check --severity error", "what must not stay"),
    ("check --rule missing_slices --format csv > gaps.csv", "one rule, for a spreadsheet"),
)
_FINDING_COLUMNS = ("severity", "level", "rule", "source", "message", "n_offenders", "first_file")
_COUNT_COLUMNS = ("severity", "theme", "rule", "findings")
_FINDINGS_SHOWN = 20


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--severity", type=_severity, action="append", metavar="SEVERITY",
        help="error, warning or information, or E, W or I",
    )  # fmt: skip
    parser.add_argument("--rule", action="append", metavar="RULE", help="only this one")
    parser.add_argument(
        "--level", action="append", metavar="LEVEL", help="only this one, as in series"
    )
    parser.add_argument(
        "--privacy", action="store_true",
        help="count what may identify instead, by action and path, without a value",
    )  # fmt: skip
    add_generation(parser)
    add_format(parser)


def run(chosen: argparse.Namespace) -> int:
    if chosen.privacy:
        return _check_privacy(chosen)
    from dicomhouse.warehouse.database import query

    with opened(chosen) as warehouse:
        known = query(warehouse.connection, statement("known_rules"))
        check_names("rule", chosen.rule or [], known.column("rule").to_pylist())
        check_names("level", chosen.level or [], known.column("level").to_pylist())
        chosen_only = {
            "severities": chosen.severity or [],
            "rules": chosen.rule or [],
            "levels": chosen.level or [],
        }
        rows = query(warehouse.connection, statement("findings"), chosen_only)
    if chosen.format != "table":
        write(rows.drop_columns(["first_file", "place"]), chosen.format)
    elif rows.num_rows:
        _write_findings(rows, shorten=not chosen.rule)
    else:
        print("no findings")
    return 1 if "E" in rows.column("severity").to_pylist() else 0


def _check_privacy(chosen: argparse.Namespace) -> int:
    from dicomhouse.warehouse.database import query

    if chosen.severity or chosen.rule or chosen.level:
        raise UsageError("--privacy stands alone: --severity, --rule and --level choose findings.")
    with opened(chosen) as warehouse:
        rows = query(warehouse.connection, statement("privacy"))
    if chosen.format == "table" and not rows.num_rows:
        print("nothing that may identify")
    else:
        write(rows, chosen.format)
    return 0


def _severity(word: str) -> str:
    """The letter of a severity, from the letter or the word."""
    for letter, name in SEVERITIES.items():
        if word.lower() in (letter.lower(), name):
            return letter
    raise argparse.ArgumentTypeError(
        f"no severity {printable(word)}; there are: {', '.join(SEVERITIES.values())}"
    )


def _write_findings(rows: Any, shorten: bool) -> None:
    """The findings for a reader: how many of each rule, then of one rule in one source the first
    few, and how many more."""
    import pyarrow.compute as pc

    counts = rows.group_by(["severity", "theme", "rule"], use_threads=False)
    write(counts.aggregate([([], "count_all")]).rename_columns(_COUNT_COLUMNS), "table")
    print()
    shown = rows.filter(pc.field("place") <= _FINDINGS_SHOWN) if shorten else rows
    write(shown.select(_FINDING_COLUMNS), "table")
    if hidden := rows.num_rows - shown.num_rows:
        print(
            f"\n{hidden:,} more: {_FINDINGS_SHOWN} are shown of each rule in a source; "
            "all with --rule RULE, or --format csv"
        )
