"""`dicomhouse docs`: the tables, their columns and lineage as a page."""

from __future__ import annotations

import argparse
from pathlib import Path

from dicomhouse.cli.shared import add_generation, opened, say
from dicomhouse.errors import StorageError, UsageError
from dicomhouse.filesystem import replace_file
from dicomhouse.output import printable

HELP = "Write dbt's page of the tables: columns, tests, lineage, in one HTML file."
EXAMPLES = (("docs --output tables.html", "to open in a browser; it needs no network"),)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", type=Path, default=Path("tables.html"), metavar="FILE",
        help="write it there (default: tables.html)",
    )  # fmt: skip
    add_generation(parser)


def run(chosen: argparse.Namespace) -> int:
    from importlib.metadata import PackageNotFoundError, version
    from tempfile import TemporaryDirectory

    from dicomhouse.warehouse.docs import page
    from dicomhouse.warehouse.plan import Compilation

    try:
        version("dbt-core")
    except PackageNotFoundError:
        raise UsageError(
            "dbt is not installed: pip install dbt-core dbt-duckdb brings it."
        ) from None
    with opened(chosen) as warehouse, TemporaryDirectory() as scratch:
        compilation = Compilation(Path(scratch), say)
        try:
            plan = compilation.plan()
            html = page(plan.read_manifest(), warehouse.connection)
        except (OSError, ValueError) as error:
            raise StorageError(
                f"cannot read what dbt says of the project: remove {plan.template.parent}; it is "
                "made again."
            ) from error
        finally:
            compilation.close()
    try:
        replace_file(chosen.output, html)
    except OSError as error:
        raise StorageError(f"cannot write {chosen.output}: {error.strerror}.") from error
    print(printable(str(chosen.output)))
    return 0
