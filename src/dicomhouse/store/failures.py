"""Runs that published nothing: noted in the warehouse until the next one that does.

Each is a line of JSON, for the owner alone, since it holds names of sources and folders. A run that
publishes puts them into the table `runs`. One that is killed cannot note it: that it began stands
beside, until it ends.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from dicomhouse.filesystem import open_file, replace_file
from dicomhouse.store.generations import is_building, published

_NAME = "failures.jsonl"
_BEGUN = "begun.json"
_KEPT = 100
_MOST_BYTES = 1_000_000
_TEXTS = ("run_id", "started_at", "finished_at", "dicomhouse", "failure")
_UNENDED = (
    "it did not end: its process was killed, or could not write why. What it read is kept for the "
    "next run."
)


def begin(warehouse: Path, run: dict[str, str]) -> None:
    """Say that a run begins, whose process holds the builder's lock; one before may not have ended.

    Args:
        run: its `run_id`, `started_at`, `finished_at` (UTC) and `dicomhouse`, which are all that is
            known of it should it be killed.
    """
    for unended in _written(warehouse, _BEGUN):
        note(warehouse, unended)
    with suppress(OSError):
        replace_file(warehouse / _BEGUN, json.dumps({**run, "failure": _UNENDED}).encode())


def end(warehouse: Path) -> None:
    """Say that the run has ended."""
    with suppress(OSError):
        (warehouse / _BEGUN).unlink(missing_ok=True)


def note(warehouse: Path, failure: dict[str, Any]) -> None:
    """Add one that has ended, and drop the oldest beyond a hundred.

    Where nothing can be written, nothing is, and the run seems not to have ended.
    """
    before = [one for one in _written(warehouse, _BEGUN) if one["run_id"] != failure["run_id"]]
    kept = [*_written(warehouse, _NAME), *before, failure][-_KEPT:]
    with suppress(OSError):
        lines = "".join(f"{json.dumps(known)}\n" for known in kept)
        replace_file(warehouse / _NAME, lines.encode())
        end(warehouse)


def noted(warehouse: Path) -> list[dict[str, Any]]:
    """Those since the last run that published, oldest first.

    A run that was killed as it published is none of them: its generation stands, or will with the
    next run.
    """
    found = _written(warehouse, _NAME)
    begun = _written(warehouse, _BEGUN)
    if begun and not is_building(warehouse):
        found += begun
    standing = set()
    for generation in published(warehouse) if found else ():
        with suppress(OSError, ValueError):  # a builder may remove it meanwhile
            standing.add(generation.run()["run_id"])
    return [one for one in found if one["run_id"] not in standing]


def _written(warehouse: Path, name: str) -> list[dict[str, Any]]:
    """What stands in a file; of a damaged one what is whole."""
    found = []
    lines: list[bytes] = []
    with suppress(OSError), open_file(warehouse / name, os.O_NOFOLLOW)[0] as file:
        lines = file.read(_MOST_BYTES).splitlines()
    for line in lines:
        with suppress(ValueError, RecursionError):
            record = json.loads(line)
            if isinstance(record, dict) and all(isinstance(record.get(n), str) for n in _TEXTS):
                found.append({name: record[name] for name in _TEXTS})
    return found


def clear(warehouse: Path) -> None:
    """Forget them: a run that published has taken them over, and has all but ended."""
    with suppress(OSError):
        (warehouse / _NAME).unlink(missing_ok=True)
    end(warehouse)
