"""Runs that published nothing: noted in the warehouse until the next one that does.

Each is a line of JSON, for the owner alone, since it holds names of sources and folders. A run that
publishes puts them into the table `runs`.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from dicomhouse.filesystem import open_file, replace_file

_NAME = "failures.jsonl"
_KEPT = 100
_MOST_BYTES = 1_000_000
_TEXTS = ("run_id", "started_at", "finished_at", "dicomhouse", "failure")


def note(warehouse: Path, failure: dict[str, Any]) -> None:
    """Add one, and drop the oldest beyond a hundred. Where nothing can be written, nothing is."""
    kept = [*noted(warehouse), failure][-_KEPT:]
    with suppress(OSError):
        lines = "".join(f"{json.dumps(known)}\n" for known in kept)
        replace_file(warehouse / _NAME, lines.encode())


def noted(warehouse: Path) -> list[dict[str, Any]]:
    """Those since the last run that published, oldest first; of a damaged file what is whole."""
    found = []
    lines: list[bytes] = []
    with suppress(OSError), open_file(warehouse / _NAME, os.O_NOFOLLOW)[0] as file:
        lines = file.read(_MOST_BYTES).splitlines()
    for line in lines:
        with suppress(ValueError, RecursionError):
            record = json.loads(line)
            if isinstance(record, dict) and all(isinstance(record.get(n), str) for n in _TEXTS):
                found.append({name: record[name] for name in _TEXTS})
    return found


def clear(warehouse: Path) -> None:
    """Forget them: a run that published has taken them over."""
    with suppress(OSError):
        (warehouse / _NAME).unlink(missing_ok=True)
