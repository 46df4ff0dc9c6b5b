"""`dicomhouse check`: the findings, and whether one is an error."""

from __future__ import annotations

import argparse
import json
from typing import Any

from dicomhouse.cli.shared import (
    SEVERITIES,
    add_format,
    add_generation,
    check_names,
    opened,
    say,
    statement,
)
from dicomhouse.cli.waive import add_waivers, named_list
from dicomhouse.errors import UsageError
from dicomhouse.output import printable, write

HELP = "Show the findings; exit code 1 when one is an error."
EXAMPLES = (
    ("check --severity error", "what must not stay"),
    ("check --rule missing_slices --format csv > gaps.csv", "one rule, for a spreadsheet"),
    ("check --new --fail-on new-errors", "what the last run found first"),
)
_FINDING_COLUMNS = ("severity", "level", "rule", "source", "message", "n_offenders", "first_file")
_COUNT_COLUMNS = ("severity", "theme", "rule", "findings")
_FINDINGS_SHOWN = 20
_IDLE = {"expired": "it has expired", "unmatched": "no finding matches it"}
_FAILS = {"new-errors": "E", "errors": "E", "warnings": "EW", "never": ""}
"""By the word of `--fail-on`, the severities that make the exit code 1."""


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
    parser.add_argument(
        "--new", action="store_true",
        help="only what the last run found and the one before had not, or not as severe, or "
        "what is accepted no more; nothing where it found nothing changed, or failed",
    )  # fmt: skip
    parser.add_argument(
        "--waived", action="store_true", help="only findings that someone has accepted"
    )
    parser.add_argument(
        "--fail-on", choices=_FAILS, default="errors",
        help="what makes the exit code 1 (default: errors); waived findings never do",
    )  # fmt: skip
    add_waivers(parser)
    add_generation(parser)
    add_format(parser)


def run(chosen: argparse.Namespace) -> int:
    if chosen.privacy:
        return _check_privacy(chosen)
    import pyarrow.compute as pc

    from dicomhouse.status import is_news
    from dicomhouse.warehouse.database import query

    with opened(chosen) as warehouse:
        record = warehouse.generation.run()
        known = query(warehouse.connection, statement("known_rules"))
        check_names("rule", chosen.rule or [], known.column("rule").to_pylist())
        check_names("level", chosen.level or [], known.column("level").to_pylist())
        chosen_only = {
            "severities": chosen.severity or [],
            "rules": chosen.rule or [],
            "levels": chosen.level or [],
            "waivers": _waivers(chosen, record),
        }
        found = query(warehouse.connection, statement("findings"), chosen_only)
        idle = query(warehouse.connection, statement("waivers_to_look_at"), chosen_only)
    is_news_still = chosen.generation or is_news(chosen.warehouse, record["generation"])
    new = found.filter(pc.field("is_news")) if is_news_still else found.slice(0, 0)
    asked = new if chosen.new else found
    rows = asked.filter(pc.field("is_waived") == chosen.waived)
    if chosen.format != "table":
        write(rows.drop_columns(["first_file", "is_news", "place"]), chosen.format)
    elif rows.num_rows:
        _write_findings(rows, shorten=not chosen.rule)
    else:
        print(f"no {'new ' if chosen.new else ''}findings")
    if (n := asked.num_rows - rows.num_rows) and not chosen.waived:
        say(f"{n:,} waived: --waived shows them")
    for waiver in idle.to_pylist():
        say(f"waivers, line {waiver['line']}: {waiver['problem'] or _IDLE[waiver['state']]}")
    counted = (new if chosen.fail_on == "new-errors" else asked).filter(~pc.field("is_waived"))
    return int(not {*_FAILS[chosen.fail_on]}.isdisjoint(counted.column("severity").to_pylist()))


def _waivers(chosen: argparse.Namespace, record: dict[str, Any]) -> str | None:
    """The list that counts, as JSON; None for the one that the warehouse was built with.

    That is the one which is given, or the warehouse's own where it was built with no other.
    """
    from dicomhouse.store import waivers

    given = chosen.waivers if chosen.generation else named_list(chosen)
    if given is None and (chosen.generation or record["settings"].get("waivers")):
        return None
    return json.dumps(waivers.listed(chosen.warehouse, given))


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
