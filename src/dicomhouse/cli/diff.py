"""`dicomhouse diff`: what differs between two files, or within a series."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from dicomhouse.cli.shared import add_format, add_generation, opened
from dicomhouse.errors import UsageError, WarehouseNotFound
from dicomhouse.filesystem import is_there
from dicomhouse.output import write

HELP = "Show the elements that differ; exit code 0 even where some do."
EXAMPLES = (
    ("diff a.dcm b.dcm --ignore SOPInstanceUID", "two files"),
    ("diff --series 1.2.840.113619.2.55.3", "what varies from image to image"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", nargs="?", help="a file, or a SOPInstanceUID of the warehouse")
    parser.add_argument("b", nargs="?", help="what to compare it with")
    parser.add_argument("--series", metavar="UID", help="what varies within a series instead")
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="KEYWORD",
        help="an attribute to leave out, wherever it stands, with all inside it",
    )  # fmt: skip
    add_generation(parser)
    add_format(parser)


def run(chosen: argparse.Namespace) -> int:
    from dicomhouse import diff

    ignored = diff.ignored_paths(chosen.ignore)
    if chosen.series is not None:
        if chosen.a is not None:
            raise UsageError("give either two files or instances, or --series UID.")
        with opened(chosen) as warehouse:
            rows = diff.variation(warehouse, chosen.series, ignored)
    else:
        if chosen.b is None:
            raise UsageError("give two files or SOPInstanceUIDs, or --series UID.")
        rows = diff.difference(_side(chosen, chosen.a), _side(chosen, chosen.b), ignored)
    if chosen.format == "table" and not rows.num_rows:
        print("no difference")
    else:
        write(rows, chosen.format)
    return 0


def _side(chosen: argparse.Namespace, name: str) -> Any:
    """The elements of a file on disk, or of an instance of the warehouse."""
    from dicomhouse import diff
    from dicomhouse.sources.opening import is_place

    if is_there(Path(name)) or is_place(name):
        return diff.file_elements(name)
    try:
        with opened(chosen) as warehouse:
            return diff.instance_elements(warehouse, name)
    except WarehouseNotFound as error:
        raise UsageError(f"there is no file {name}, and {error}") from error
