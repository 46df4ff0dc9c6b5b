"""`dicomhouse serve`: the build on a schedule, with Prefect's UI."""

from __future__ import annotations

import argparse
from runpy import run_path

from dicomhouse.errors import UsageError
from dicomhouse.resources import resource

HELP = "Build on a schedule, by the Prefect server that is configured or a local one."
EXAMPLES = (
    ("serve ward_a=/data/a --warehouse study", "every night at two"),
    ('serve /data/a --cron "30 22 * * 1-5" --timezone Europe/Berlin', "on working days"),
    ("serve /data/a --notify https://hooks.example.org/T0/B0", "and somebody is told"),
)
NIGHTLY = "0 2 * * *"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", nargs="*", help="as of `dicomhouse build`; none: those of dicomhouse.toml"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="worker processes")
    parser.add_argument("--cron", help=f"when to run (default: {NIGHTLY!r})")
    parser.add_argument("--timezone", help="the schedule's (default: UTC)")
    parser.add_argument(
        "--every", type=float, metavar="SECONDS", help="an interval instead of a cron schedule"
    )
    parser.add_argument("--name", default="nightly", help="the deployment's (default: nightly)")
    parser.add_argument(
        "--notify",
        metavar="URL",
        help="as `dicomhouse notify URL`, once the server is there",
    )


def run(chosen: argparse.Namespace) -> int:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    schedule = chosen.configuration.schedule
    chosen.every = chosen.every or (None if chosen.cron else schedule.get("every"))
    chosen.cron = chosen.cron or schedule.get("cron", NIGHTLY)
    chosen.timezone = chosen.timezone or schedule.get("timezone", "UTC")
    chosen.notify = chosen.notify or schedule.get("notify")
    try:
        ZoneInfo(chosen.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            f"no time zone {chosen.timezone}. Give a name such as Europe/Berlin."
        ) from None
    run_path(str(resource("flows", "deployments.py")))["serve"](chosen)
    return 0
