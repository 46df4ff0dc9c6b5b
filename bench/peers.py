"""Other ways to read headers: loops over pydicom, and the peers on PyPI.

As a program it is the pydicom loop over a folder: `python bench/peers.py FOLDER`. What only one
way needs is imported there, so that no other pays for it.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

READERS = {"dicomsdl": "dicomsdl", "fw-file-rs": "fw_file_rs.dcm"}
"""Peers of the reader, installed by the extra `bench`: the module of each."""


@dataclass(frozen=True)
class Program:
    """A peer of the whole build, with a command line of its own."""

    requirement: str
    command: tuple[str, ...]
    """With places for `folder`, which is read, and `output`, which is written."""
    makes: str


PROGRAMS = (
    Program(
        "dicom-csv==0.5.1",
        ("dicom-csv", "{folder}", "{output}/frame.csv"),
        "a frame of all public top-level tags with one value, as CSV",
    ),
    Program(
        "dicom-discovery==0.11.0",
        ("dicom-discovery", "index", "--root", "{folder}",
         "--out-csv", "{output}/index.csv", "--out-manifest", "{output}/index.json"),
        "an index of series from 15 tags, read by 8 threads",
    ),
)  # fmt: skip


def pydicom_loop(paths: Iterable[str]) -> None:
    """What a careful script does: every element's value of every file, nested ones too."""
    import pydicom

    for path in paths:
        with contextlib.suppress(pydicom.errors.InvalidDicomError):
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
            for element in (*dataset.file_meta, *dataset.iterall()):
                element.value  # noqa: B018


def notebook_loop(paths: Iterable[str]) -> None:
    """What notebooks do: read the whole file, and make a row of a data frame of its top level."""
    import polars
    import pydicom

    rows = []
    for path in paths:
        with contextlib.suppress(pydicom.errors.InvalidDicomError):
            dataset = pydicom.dcmread(path)
            rows.append({e.keyword: str(e.value) for e in dataset if e.keyword != "PixelData"})
    polars.DataFrame(rows, infer_schema_length=None)


def dicomsdl_loop(paths: Iterable[str]) -> None:
    """Every element's value, nested ones too, group 2 and private ones as far as it has them."""
    dicomsdl = importlib.import_module("dicomsdl")
    dicomsdl.set_loglevel(dicomsdl.LogLevel.DISABLE)

    def values(dataset: Any) -> None:
        for element in dataset:
            if element.vr() == dicomsdl.VR.SQ:
                items = element.toSequence()
                for number in range(len(items)):
                    values(items.getDataSet(number))
            else:
                element.value()

    for path in paths:
        with contextlib.suppress(Exception):
            values(dicomsdl.open(path, load_until=0x7FE00000))


def fw_file_loop(paths: Iterable[str]) -> None:
    """Every element, nested ones too, as dictionaries."""
    dcm = importlib.import_module("fw_file_rs.dcm")
    for path in paths:
        with contextlib.suppress(Exception):
            dcm.parse_header_full(dcm.read_until_pixels(path))


def be_quiet() -> None:
    """Let pydicom say nothing of what is not valid in a file."""
    import pydicom

    warnings.simplefilter("ignore")
    pydicom.config.logger.setLevel("CRITICAL")


def is_here(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def _below(folder: str) -> Iterator[str]:
    for place, _, names in os.walk(folder):
        yield from (f"{place}/{name}" for name in names)


if __name__ == "__main__":
    be_quiet()
    pydicom_loop(_below(sys.argv[1]))
