"""`dicomhouse build` and `dicomhouse demo`: the main job."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Sequence
from dataclasses import fields
from pathlib import Path
from shlex import quote
from typing import Any

from dicomhouse.cli.shared import SEVERITIES, say, statement
from dicomhouse.errors import UsageError
from dicomhouse.output import printable
from dicomhouse.processes import leave_working_folder
from dicomhouse.resources import resource
from dicomhouse.settings import Settings

HELP = "Read folders of DICOM files and publish a warehouse."
EXAMPLES = (
    ("build /data/osic --warehouse study", "the first time, and whenever files came"),
    ("build --warehouse study", "what is new in the folders that it has"),
    ("build ward=/mnt/a ct=/mnt/b --flow", "two sources with names, as a Prefect flow"),
)
_KINDS: dict[str, dict[str, Any]] = {
    "bool": {"action": "store_true"},
    "int": {"type": int, "metavar": "N"},
    "str": {"metavar": "ADDRESS"},
    "tuple[str, ...]": {"action": "append", "metavar": "NAME"},
    "Mapping[str, float]": {"action": "append", "metavar": "RULE=NUMBER"},
    "Path | None": {"type": Path, "metavar": "FILE"},
}
"""By the type of a setting, what its flag takes."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", nargs="*",
        help="a folder, an archive (.zip, .tar, .tar.gz), s3://BUCKET/FOLDER, or @FILE with a path "
        "a line; NAME=PLACE names it; none: the sources that the warehouse has, where they were. "
        "A source that is not named stays as it is",
    )  # fmt: skip
    add_settings(parser)


def add_settings(parser: argparse.ArgumentParser, but: Collection[str] = ()) -> None:
    """A flag for each setting that has one, and which way to run."""
    way = parser.add_mutually_exclusive_group()
    way.add_argument(
        "--flow", action="store_true",
        help="run the Prefect flow; on a private server where none is configured by "
        "PREFECT_API_URL or Prefect's profile (default: the flow where one is configured)",
    )  # fmt: skip
    way.add_argument(
        "--direct", action="store_true",
        help="run the same steps without Prefect (default: where no server is configured)",
    )  # fmt: skip
    for setting in fields(Settings):
        if "help" in setting.metadata and setting.name not in but:
            flag, option = f"--{setting.name.replace('_', '-')}", setting.metadata
            flags = [option["flag"], flag] if option["flag"] else [flag]
            kind = _KINDS[str(setting.type)] | ({"metavar": m} if (m := option["metavar"]) else {})
            parser.add_argument(
                *flags, dest=setting.name, default=argparse.SUPPRESS, help=option["help"], **kind
            )


def run(chosen: argparse.Namespace) -> int:
    return run_build(chosen, chosen.source)


def run_build(chosen: argparse.Namespace, sources: Sequence[str]) -> int:
    """Build from sources as they are named on the command line, and tell what came of it."""
    from dicomhouse.run import orchestrator

    given = {s.name: getattr(chosen, s.name) for s in fields(Settings) if hasattr(chosen, s.name)}
    del given["warehouse"]
    given |= {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    if "tolerances" in given:
        given["tolerances"] = _tolerances(given["tolerances"])
    folder = leave_working_folder(resource("flows"))  # which has nothing but our own
    settings = chosen.configuration.settings_of(sources, chosen.warehouse, folder, given)
    ignored = orchestrator.settle_environment(folder)
    if chosen.flow or (not chosen.direct and orchestrator.is_configured()):
        from dicomhouse.cli.flow import run_flow

        if ignored:
            say(f"these settings of Prefect's are set aside: {', '.join(ignored)}")
        record = run_flow(settings)
    else:
        from dicomhouse.run.build import build_direct
        from dicomhouse.run.progress import Bars

        record = build_direct(settings, say, Bars() if sys.stderr.isatty() else None)
    _summary(settings.warehouse, chosen.warehouse, chosen.is_default, record)
    return 0


def _tolerances(given: Sequence[str]) -> dict[str, float]:
    tolerances = {}
    for text in given:
        rule, _, number = text.partition("=")
        try:
            tolerances[rule] = float(number)
        except ValueError:
            raise UsageError(f"--tolerance takes RULE=NUMBER, not {text}.") from None
    return tolerances


def _summary(folder: Path, named: Path, is_default: bool, record: dict[str, Any]) -> None:
    import dicomhouse

    with dicomhouse.open(folder) as warehouse:
        rows = warehouse.connection.execute(statement("summary")).fetchall()
        worst = warehouse.connection.execute(statement("worst_findings")).fetchall()
    files = ", ".join(f"{count:,} {status}" for status, count in record["files"].items())
    print(f"\nfiles      {files or 'none'}")
    for name, count in rows:
        print(f"{name:<10} {count:,}")
    print("findings   " + ("none" if not worst else "most severe first"))
    for severity, rule, count, subjects in worst:
        print(f"           {SEVERITIES[severity]:<12}{rule}: {count:,} of level {subjects}")
    place = "" if is_default else f" --warehouse {quote(printable(str(named)))}"
    print(f"warehouse  {printable(str(named))} (generation {record['generation']})")
    print("\nnext:")
    print(f"  dicomhouse check{place}")
    print(
        f"  dicomhouse sql{place} \"select * from patient_tags where state = 'constant' limit 20\""
    )
