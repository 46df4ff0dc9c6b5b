"""How many files wait for the next run: noted where nothing else may have changed.

The note is for the owner alone, and goes with the last file that waits.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from dicomhouse.filesystem import open_file, replace_file

_NAME = "waiting.json"
_MOST_BYTES = 1_000_000
_DAMAGES = (ValueError, TypeError, AttributeError, RecursionError)


def note(warehouse: Path, files: Mapping[str, int]) -> None:
    """Note how many, by source. Where nothing can be written, nothing is."""
    waiting = {source: n for source, n in files.items() if n}
    with suppress(OSError):
        if waiting:
            replace_file(warehouse / _NAME, json.dumps(waiting).encode())
        else:
            (warehouse / _NAME).unlink(missing_ok=True)


def noted(warehouse: Path) -> dict[str, int]:
    """By source, how many files the last run that looked left; of a damaged note none."""
    with suppress(OSError, *_DAMAGES), open_file(warehouse / _NAME, os.O_NOFOLLOW)[0] as file:
        counts = json.loads(file.read(_MOST_BYTES))
        return {str(source): int(n) for source, n in counts.items()}
    return {}
