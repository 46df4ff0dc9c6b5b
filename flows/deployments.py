"""Serve the build flow on a schedule: `python flows/deployments.py SOURCE... --warehouse DIR`.

It needs a Prefect server (`prefect server start`, or an API address in PREFECT_API_URL) and runs
until it is stopped. Sources, warehouse and jobs are the deployment's parameters.
"""

from __future__ import annotations

import argparse
from datetime import timedelta
from pathlib import Path
from typing import Any

from prefect.flows import load_flow_from_entrypoint

NIGHTLY = "0 2 * * *"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", nargs="+", help="a folder of DICOM files, or NAME=PATH")
    parser.add_argument("--warehouse", default="warehouse")
    parser.add_argument("--cron", default=NIGHTLY, help=f"when to run (default: {NIGHTLY!r})")
    parser.add_argument(
        "--every", type=float, metavar="SECONDS", help="an interval instead of a cron schedule"
    )
    parser.add_argument("--name", default="nightly", help="the deployment's name")
    chosen = parser.parse_args()
    when = {"interval": timedelta(seconds=chosen.every)} if chosen.every else {"cron": chosen.cron}
    build: Any = load_flow_from_entrypoint(f"{Path(__file__).with_name('build.py')}:build")
    build.serve(
        name=chosen.name,
        limit=1,
        parameters={
            "sources": [absolute(source) for source in chosen.source],
            "warehouse": str(Path(chosen.warehouse).resolve()),
        },
        **when,
    )


def absolute(source: str) -> str:
    """The same source for a process with another working directory."""
    name, equals, path = source.partition("=")
    if equals and not Path(source).exists():
        return f"{name}={Path(path).expanduser().resolve()}"
    return str(Path(source).expanduser().resolve())


if __name__ == "__main__":
    main()
