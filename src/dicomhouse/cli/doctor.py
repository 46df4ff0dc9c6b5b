"""`dicomhouse doctor`: what would stop a run."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from dicomhouse.cli.shared import add_format
from dicomhouse.output import write
from dicomhouse.settings import Settings

HELP = "Look for what would stop a run; exit code 1 where something would."
EXAMPLES = (
    ("doctor --warehouse study", "before the first night"),
    ("doctor ward=/mnt/a --warehouse study", "of sources that it has not yet"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", nargs="*", help="a folder, or NAME=PATH; none: those that the warehouse has"
    )
    parser.add_argument("--pixels", action="store_true", help="of runs that measure pixels")
    add_format(parser)


def run(chosen: argparse.Namespace) -> int:
    import pyarrow as pa

    from dicomhouse.run.doctor import diagnose

    settings = Settings(tuple(chosen.source), chosen.warehouse, pixels=chosen.pixels)
    found = list(diagnose(settings))
    write(pa.Table.from_pylist([asdict(one) for one in found]), chosen.format)
    return int(any(one.state == "stops" for one in found))
