"""`dicomhouse report`: where the page lies, a copy of it, or one with less or more in it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from dicomhouse.cli.shared import add_generation, opened, positive
from dicomhouse.errors import StorageError, UsageError
from dicomhouse.filesystem import open_file, replace_file
from dicomhouse.output import printable

if TYPE_CHECKING:
    from dicomhouse.reader import Warehouse

HELP = "Say where the HTML report lies, or write one to send on."
EXAMPLES = (
    ("report --output report.html", "a copy: it holds values of patients"),
    ("report --no-values --output report.html", "one without names, paths, dates and texts"),
    ("report --pictures 20 --output report.html", "one with pictures of 20 volumes"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, metavar="FILE", help="write a copy there")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument(
        "--no-values", action="store_true",
        help="leave out of the copy what may identify: names, paths, dates, texts, findings' words",
    )  # fmt: skip
    shown.add_argument(
        "--pictures", type=positive, metavar="N",
        help="with mid planes and a montage of up to N volumes in the copy ([pixels])",
    )  # fmt: skip
    add_generation(parser)


def run(chosen: argparse.Namespace) -> int:
    is_made_anew = chosen.no_values or chosen.pictures
    if is_made_anew and chosen.output is None:
        raise UsageError("--no-values and --pictures make a copy: say where with --output FILE.")
    with opened(chosen) as warehouse:
        page = warehouse.generation.report / "index.html"
        if chosen.output is None:
            print(printable(str(page)))
            return 0
        if is_made_anew:
            content = _made_anew(warehouse, not chosen.no_values, chosen.pictures)
        else:
            content = _read(page)
    try:
        replace_file(chosen.output, content)
    except OSError as error:
        raise StorageError(f"cannot write {chosen.output}: {error.strerror}.") from error
    print(printable(str(chosen.output)))
    return 0


def _read(page: Path) -> bytes:
    try:
        with open_file(page, os.O_NOFOLLOW)[0] as file:
            return file.read()
    except OSError as error:
        raise StorageError(f"cannot read {page}: {error.strerror}. Build again.") from error


def _made_anew(warehouse: Warehouse, with_values: bool, most: int | None) -> bytes:
    from dicomhouse.report import render

    pictures = {}
    if most is not None:
        try:
            from dicomhouse.pixels.gallery import gallery
        except ModuleNotFoundError as error:
            raise UsageError(
                f"{error.name} is not installed: pip install 'dicomhouse[pixels]' brings it."
            ) from None
        pictures = gallery(warehouse.connection, most)
    record = warehouse.generation.run()
    return render(warehouse.connection, record, with_values, pictures).encode()
