"""`dicomhouse export`: the lake in a form that other engines read."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from dicomhouse.cli.shared import add_generation, opened
from dicomhouse.errors import StorageError, UsageError

HELP = "Give the lake to other engines, as Delta tables."
EXAMPLES = (
    ("export delta /data/delta", "three tables for Spark, Trino, Databricks or Polars"),
    ("export delta /data/delta --link", "the same without copies, on the warehouse's file system"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("form", choices=("delta",), help="which form")
    parser.add_argument(
        "folder", type=Path, help="where the tables are, or are to be: a new version of each"
    )
    parser.add_argument(
        "--link", action="store_true",
        help="hard links rather than copies, but for `images`, whose times become text",
    )  # fmt: skip
    add_generation(parser)


def run(chosen: argparse.Namespace) -> int:
    from dicomhouse.lake.delta import export
    from dicomhouse.lake.records import records

    folder = chosen.folder.resolve()
    os.umask(0o077)
    with opened(chosen) as warehouse:
        generation = warehouse.generation
        if folder.is_relative_to(chosen.warehouse.resolve()):
            raise UsageError("the tables cannot lie within the warehouse. Choose another folder.")
        try:
            versions = export(generation.lake, records(generation.parts), folder, chosen.link)
        except FileExistsError as error:
            raise StorageError(
                f"another export to {folder} was quicker. Export again if need be."
            ) from error
        except OSError as error:
            hint = " Leave --link out for copies." if chosen.link else ""
            raise StorageError(f"cannot write {folder}: {error.strerror}.{hint}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StorageError(
                f"cannot follow the Delta log in {folder} ({type(error).__name__}: was it cleaned "
                "up or damaged?). Export to a new folder."
            ) from error
    for made in versions:
        print(
            f"{made.table:<9} version {made.number}: {made.parts:,} parts, {made.came:,} came, "
            f"{made.went:,} went"
        )
    return 0
