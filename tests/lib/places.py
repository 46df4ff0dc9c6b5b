"""Where real files are."""

from __future__ import annotations

import os
from pathlib import Path

import pydicom

ROOT = Path(__file__).resolve().parents[2]
"""Of the project."""
PYDICOM_DATA = Path(pydicom.__file__).parent / "data"


def shared_folder() -> Path | None:
    """The folder of real studies: DICOMHOUSE_SHARED_DATA, or `../shared/data`."""
    named = os.environ.get("DICOMHOUSE_SHARED_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    return folder if (folder / "EXPECTED.json").is_file() else None
