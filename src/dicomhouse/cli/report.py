"""`dicomhouse report`: where the page lies, or a copy of it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from dicomhouse.cli.shared import add_generation, opened
from dicomhouse.errors import StorageError
from dicomhouse.filesystem import open_file, replace_file
from dicomhouse.output import printable

HELP = "Say where the HTML report lies, or copy it."
EXAMPLES = (("report --output report.html", "a copy to send on: it holds values of patients"),)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, metavar="FILE", help="write a copy there")
    add_generation(parser)


def run(chosen: argparse.Namespace) -> int:
    with opened(chosen) as warehouse:
        page = warehouse.generation.report / "index.html"
        if chosen.output is None:
            print(printable(str(page)))
            return 0
        try:
            with open_file(page, os.O_NOFOLLOW)[0] as file:
                content = file.read()
        except OSError as error:
            raise StorageError(f"cannot read {page}: {error.strerror}. Build again.") from error
    try:
        replace_file(chosen.output, content)
    except OSError as error:
        raise StorageError(f"cannot write {chosen.output}: {error.strerror}.") from error
    return 0
