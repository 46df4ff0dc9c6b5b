"""What several commands share: their options, their questions, the word to the user."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from dicomhouse.errors import StorageError, unknown
from dicomhouse.filesystem import replace_file
from dicomhouse.output import FORMS, printable
from dicomhouse.resources import resource

if TYPE_CHECKING:
    from dicomhouse.reader import Warehouse

SEVERITIES = {"E": "error", "W": "warning", "I": "information"}


def add_warehouse(parser: argparse.ArgumentParser) -> None:
    """`--warehouse`, which every command has."""
    parser.add_argument(
        "--warehouse", type=Path, metavar="DIR",
        help="the warehouse's folder (default: DICOMHOUSE_WAREHOUSE, or dicomhouse.toml's, or "
        "./warehouse)",
    )  # fmt: skip
    parser.add_argument(
        "--config", type=Path, metavar="FILE",
        help="what stands in for flags (default: DICOMHOUSE_CONFIG, or ./dicomhouse.toml)",
    )  # fmt: skip


def add_generation(parser: argparse.ArgumentParser) -> None:
    """`--generation`, of commands that read what was published."""
    parser.add_argument("--generation", type=int, metavar="N", help="look back at generation N")


def add_format(parser: argparse.ArgumentParser) -> None:
    """`--format`, of commands that give rows."""
    parser.add_argument(
        "--format", choices=FORMS, default="table",
        help="json: a line a row; csv: a text that a spreadsheet would take for a formula "
        "begins with an apostrophe",
    )  # fmt: skip


def positive(word: str) -> int:
    """A whole number from 1 on, of an option."""
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError("a number from 1 on is needed")
    return number


def opened(chosen: argparse.Namespace) -> Warehouse:
    """The warehouse, at the generation, that was chosen."""
    import dicomhouse

    return dicomhouse.open(chosen.warehouse, chosen.generation)


@contextmanager
def writing_to(path: Path | None) -> Iterator[None]:
    """Let what is written to standard output go to a file, for its owner alone, in one step.

    Raises:
        StorageError: it cannot be written.
    """
    if path is None:
        yield
        return
    from tempfile import TemporaryFile

    with TemporaryFile("w+b") as file, TextIOWrapper(file, encoding="utf-8") as text:
        with redirect_stdout(text):
            yield
        text.flush()
        file.seek(0)
        try:
            replace_file(path, file.read())
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror}.") from error


def statement(name: str) -> str:
    """One of the questions that the commands themselves ask."""
    return resource("sql", "commands", f"{name}.sql").read_text()


def check_names(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Raise UsageError for a name that is not known."""
    for name in names:
        if name not in known:
            raise unknown(what, name, set(known))


def say(line: str) -> None:
    """Tell the user, beside the output."""
    print(printable(line), file=sys.stderr, flush=True)
