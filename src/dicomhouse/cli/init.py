"""`dicomhouse init`: a `dicomhouse.toml` to fill in."""

from __future__ import annotations

import argparse
from pathlib import Path

from dicomhouse.configuration import NAME
from dicomhouse.errors import StorageError, UsageError
from dicomhouse.filesystem import replace_file

HELP = "Write a dicomhouse.toml with all that can stand in it, commented."
EXAMPLES = (("init", "then edit it, and: dicomhouse build"),)
READS_NO_CONFIGURATION = True


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(), help="where to write it (default: here)"
    )


def run(chosen: argparse.Namespace) -> int:
    target = chosen.folder / NAME
    if target.exists():
        raise UsageError(f"there is a {target} already. Edit it, or move it away.")
    try:
        replace_file(target, Path(__file__).with_name(NAME).read_bytes())
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror}.") from error
    print(f"{target} is written: name your sources in it, then: dicomhouse build")
    return 0
