"""The records in a warehouse's folder are read as what anybody may have written.

What is not a plain file, not JSON, or not of the form that it should have is not believed.
"""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dicomhouse.filesystem import open_file
from dicomhouse.lake.layout import TABLES, VALUE_COUNTS

_MOST_BYTES = 64 << 20
_MOST = 1 << 63
_RUN_ID = r"[0-9]{6,18}-[0-9a-f]{8}"
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+-]{8,24}")
_WORD = re.compile(r"[a-z_]{1,40}")
_NAME = re.compile(r"[A-Za-z0-9_]{1,100}")
_PATH = re.compile(r"(?:[a-z0-9]+:/)?/[^\0]*")

RUN = {
    "format": int, "run_id": re.compile(_RUN_ID), "generation": int, "dicomhouse": str,
    "extractor": str, "dictionary": str, "models": str, "sources": {str: _PATH},
    "started_at": _TIME, "finished_at": _TIME, "reasons": [str], "drift": {_WORD: int},
    "settings": {str: object}, "files": {_WORD: int}, "images": int, "elements": int,
    "lake_bytes": int, "parts": int, "seconds": {str: float},
}  # fmt: skip
"""Of `run.json`."""

PART = {
    "name": re.compile(rf"part-{_RUN_ID}-[0-9]{{5,12}}"), "source": str, "extractor": str,
    "rewritten": bool, "files": int, "images": int, "elements": int, "n_bytes": int,
    "statuses": {_WORD: int}, "image_columns": [_NAME], "paths": [str],
}  # fmt: skip
"""Of the record of a part."""


def read_json(path: Path) -> Any:
    """What a plain file, and no link to one, holds.

    Raises:
        ValueError: it is not JSON, or more than a record would ever be.
        OSError: it is not there, or cannot be read.
    """
    with open_file(path, os.O_NOFOLLOW)[0] as file:
        content = file.read(_MOST_BYTES)
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def has_form(value: Any, form: Any) -> bool:
    """Whether a value of JSON is what it should be.

    Args:
        value: the value.
        form: a type (`int` from 0, finite `float`, `object` for any); a pattern that a text
            matches; a list of the form of its items; a mapping with the form of all of its names
            and that of their values, or with the names that must be there.
    """
    match form:
        case re.Pattern():
            return isinstance(value, str) and form.fullmatch(value) is not None
        case [item]:
            return isinstance(value, list) and all(has_form(one, item) for one in value)
        case dict() if len(form) == 1:
            ((name, inner),) = form.items()
            return isinstance(value, dict) and all(
                has_form(key, name) and has_form(one, inner) for key, one in value.items()
            )
        case dict():
            return isinstance(value, dict) and all(
                name in value and has_form(value[name], inner) for name, inner in form.items()
            )
    if form is int:
        return type(value) is int and 0 <= value < _MOST
    if form is float:
        return type(value) in (int, float) and math.isfinite(value)
    return isinstance(value, form)


def is_path_of_part(path: str, source: str, name: str) -> bool:
    """Whether a path below the lake is one that `layout` gives a file of a part."""
    table, _, rest = path.partition("/")
    folder, _, rest = rest.partition("/")
    partition, _, file = rest.rpartition("/")
    return (
        table in (*TABLES, VALUE_COUNTS)
        and folder == f"source={quote(source, safe=' ')}"
        and re.fullmatch(r"(Modality=[A-Za-z0-9_% ]+)?", partition) is not None
        and file == f"{name}.parquet"
    )
