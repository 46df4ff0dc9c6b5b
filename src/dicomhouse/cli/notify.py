"""`dicomhouse notify`: who is told when a scheduled run fails, finds errors, or does not come."""

from __future__ import annotations

import argparse
import subprocess
import sys
from urllib.parse import urlsplit

from dicomhouse.errors import UsageError
from dicomhouse.output import printable
from dicomhouse.processes import leave_working_folder
from dicomhouse.resources import resource

HELP = "Have Prefect tell an address of failed, late and missing runs, and of new errors."
EXAMPLES = (
    ("notify https://hooks.example.org/T0/B0", "what the nightly runs come to"),
    ("notify https://hooks.example.org/T0/B0 --within 2", "of a deployment that runs hourly"),
    ("notify --off", "nothing any more"),
)
_LEAST_HOURS = 10 / 3_600
_MOST_HOURS = 366 * 24


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "url", nargs="?", help='where `{"text": ...}` is posted, as Slack and Mattermost take it'
    )
    parser.add_argument("--deployment", default="nightly", help="whose runs (default: nightly)")
    parser.add_argument(
        "--within", type=float, default=26.0, metavar="HOURS",
        help="a run that succeeds is due within these hours after the last one (default: 26)",
    )  # fmt: skip
    parser.add_argument("--off", action="store_true", help="remove what this has made")


def run(chosen: argparse.Namespace) -> int:
    from dicomhouse.run import orchestrator

    if chosen.off == bool(chosen.url):
        raise UsageError("notify takes a URL, or --off.")
    if chosen.url and urlsplit(chosen.url).scheme not in ("http", "https"):
        raise UsageError("notify takes a URL that begins with https:// or http://.")
    if not _LEAST_HOURS <= chosen.within <= _MOST_HOURS:  # nor what is no number
        raise UsageError("--within takes hours from 0.003, ten seconds, to 8784, a year.")
    orchestrator.settle_environment(leave_working_folder(resource("flows")))
    if not orchestrator.is_configured():
        raise UsageError(
            "notify needs the Prefect server that serves the schedule: name it in PREFECT_API_URL, "
            "and its login in PREFECT_API_AUTH_STRING."
        )
    words = ["--off"] if chosen.off else [chosen.url]
    words += ["--deployment", chosen.deployment, "--within", str(chosen.within)]
    script = str(resource("flows", "notify.py"))
    code = subprocess.run([sys.executable, "-P", script, *words], check=False).returncode
    if not code:
        runs = f"runs of {chosen.deployment}"
        print(printable(f"{runs} are told to nobody" if chosen.off else f"{runs} are told there"))
    return code
