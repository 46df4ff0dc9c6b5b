"""`dicomhouse waive`: accept a finding, so that it is not told again."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from dicomhouse.cli.shared import check_names, opened, statement
from dicomhouse.errors import UsageError
from dicomhouse.output import printable

if TYPE_CHECKING:
    from datetime import date

HELP = "Accept a finding: it stays in the tables, and neither counts nor is told again."
EXAMPLES = (
    (
        'waive file_not_dicom "docs/*" --reason "scanned letters"',
        "all files of a folder; a subject as in `findings`, or a pattern",
    ),
    (
        'waive missing_slices 4f1c --reason "as sent" --expires 2026-12-31',
        "one finding by its finding_key, until a day",
    ),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("rule", help="the rule that found it")
    parser.add_argument(
        "subject", help="its subject, a pattern with *, ? and [...], or its finding_key"
    )
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why it is accepted")
    parser.add_argument(
        "--expires", type=_day, metavar="DATE", help="the last day on which it is, as 2026-12-31"
    )
    parser.add_argument("--author", metavar="NAME", help="who accepts it (default: your account)")
    parser.add_argument("--source", metavar="NAME", help="only in this source")
    add_waivers(parser)


def add_waivers(parser: argparse.ArgumentParser) -> None:
    """`--waivers`, of commands that read or write the list."""
    parser.add_argument(
        "--waivers", type=Path, metavar="FILE",
        help="the list, as CSV (default: dicomhouse.toml's, or waivers.csv in the warehouse's "
        "folder)",
    )  # fmt: skip


def named_list(chosen: argparse.Namespace) -> Path | None:
    """The list that a build would be given: the flag's, the environment's or dicomhouse.toml's."""
    path: Path | None = chosen.waivers or chosen.configuration.settings.get("waivers")
    return path


def run(chosen: argparse.Namespace) -> int:
    from dicomhouse.store import waivers
    from dicomhouse.warehouse.database import query

    path = named_list(chosen) or waivers.own_list(chosen.warehouse)
    waiver = {
        "rule": chosen.rule,
        "subject": chosen.subject.strip(),
        "source": chosen.source,
        "expires": chosen.expires and chosen.expires.isoformat(),
        "author": chosen.author or _account(),
        "reason": chosen.reason.strip(),
    }
    for name in ("subject", "reason"):
        if not waiver[name]:
            raise UsageError(f"an empty {name} waives nothing.")
    chosen.generation = None
    with opened(chosen) as warehouse:
        known = query(warehouse.connection, statement("known_rules"))
        check_names("rule", [chosen.rule], known.column("rule").to_pylist())
        asked = {"waivers": json.dumps([{**waiver, "line": 1}])}
        (n,) = query(warehouse.connection, statement("count_waived"), asked).column(0).to_pylist()
    waivers.add(path, waiver)
    covered = f"{n:,} finding{'' if n == 1 else 's'}" if n else "no finding that stands now"
    print(printable(f"waived in {path}: {covered}"))
    return 0


def _day(word: str) -> date:
    from datetime import UTC, date, datetime

    try:
        day = date.fromisoformat(word)
    except ValueError:
        raise argparse.ArgumentTypeError("a day is needed, such as 2026-12-31") from None
    if day < datetime.now(UTC).date():
        raise argparse.ArgumentTypeError(f"{day} is past: it would waive nothing")
    return day


def _account() -> str | None:
    from getpass import getuser

    try:
        return getuser()
    except (KeyError, OSError):  # an account without a name
        return None
