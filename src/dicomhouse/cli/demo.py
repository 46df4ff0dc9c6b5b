"""`dicomhouse demo`: the main job on files that are there wherever pydicom is."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

from dicomhouse.cli.build import add_settings, run_build
from dicomhouse.errors import UsageError

HELP = "Build a warehouse from the studies that ship inside pydicom."
EXAMPLES = (("demo", "then: dicomhouse check"),)
READS_NO_CONFIGURATION = True


def add_options(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, but=("forget", "allow_empty", "allow_shrink"))


def run(chosen: argparse.Namespace) -> int:
    pydicom = find_spec("pydicom")  # nothing is imported before a server is started
    (place,) = (pydicom and pydicom.submodule_search_locations) or [""]
    folder = Path(place, "data", "test_files")
    studies = folder / "dicomdirtests"
    if not studies.is_dir():
        raise UsageError(f"this pydicom has no test files in {folder}; install pydicom 3.")
    return run_build(chosen, [str(studies), str(folder)])
