"""The last run that found nothing changed: it publishes nothing, yet tells that somebody looked.

It is noted in the warehouse as a line of JSON that the next one replaces.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from dicomhouse.filesystem import replace_file
from dicomhouse.lake.forms import has_form, read_json

_NAME = "unchanged.json"
_FORM = {"run_id": str, "started_at": str, "finished_at": str, "generation": int}


def note(warehouse: Path, record: dict[str, Any]) -> None:
    """Say that a run found nothing changed. Where nothing can be written, nothing is."""
    with suppress(OSError):
        replace_file(warehouse / _NAME, f"{json.dumps(record)}\n".encode())


def noted(warehouse: Path, generation: int) -> dict[str, Any] | None:
    """The last run that found the warehouse as this generation has it; None if none has since."""
    with suppress(OSError, ValueError):
        record = read_json(warehouse / _NAME)
        if has_form(record, _FORM) and record["generation"] == generation:
            return {name: record[name] for name in _FORM}
    return None
