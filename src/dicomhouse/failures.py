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

_NAME = "failures.jsonl"
_KEPT = 100
_MOST_BYTES = 1_000_000
_TEXTS = ("run_id", "started_at", "finished_at", "dicomhouse", "failure")


def note(warehouse: Path, failure: dict[str, Any]) -> None:
    """Add one, and drop the oldest beyond a hundred. Where nothing can be written, nothing is."""
    lines = [json.dumps(known) for known in [*noted(warehouse), failure][-_KEPT:]]
    beside = warehouse / f"{_NAME}.new"
    with suppress(OSError):
        beside.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(beside, flags, 0o600), "w") as file:
            file.writelines(f"{line}\n" for line in lines)
        beside.replace(warehouse / _NAME)


def noted(warehouse: Path) -> list[dict[str, Any]]:
    """Those since the last run that published, oldest first; of a damaged file what is whole."""
    found = []
    with suppress(OSError):
        with os.fdopen(os.open(warehouse / _NAME, os.O_RDONLY | os.O_NOFOLLOW)) as file:
            lines = file.read(_MOST_BYTES).splitlines()
        for line in lines:
            with suppress(ValueError):
                told = json.loads(line)
                if isinstance(told, dict) and all(isinstance(told.get(n), str) for n in _TEXTS):
                    found.append({name: told[name] for name in _TEXTS})
    return found


def clear(warehouse: Path) -> None:
    """Forget them: a run that published has taken them over."""
    with suppress(OSError):
        (warehouse / _NAME).unlink(missing_ok=True)
