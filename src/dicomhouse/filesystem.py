"""What a file system says of a file, as the tables keep it: names as text, times they can hold."""

from __future__ import annotations

import os
import re
from pathlib import Path

_FIRST_MICROSECOND = -62_135_596_800_000_000
_LAST_MICROSECOND = 253_402_300_799_999_999
"""Of the years 1 to 9999, since 1970."""

_ESCAPE = re.compile(rb"\\(\\|x[0-9a-f]{2})")


def is_there(path: Path) -> bool:
    """Whether a path exists; one that no file system could hold does not."""
    try:
        return path.exists()
    except OSError:
        return False


def printable(name: str) -> str:
    """A file system's name as text that can be stored: undecodable bytes become `\\xNN`.

    A backslash of the name itself is doubled, so that no two names become one.
    """
    if name.isascii() and "\\" not in name:
        return name
    return os.fsencode(name.replace("\\", "\\\\")).decode("utf-8", "backslashreplace")


def os_path(text: str) -> str:
    """The name, or path, that `printable` gave this text for."""
    if "\\" not in text:
        return text
    return os.fsdecode(
        _ESCAPE.sub(
            lambda escape: b"\\" if escape[1] == b"\\" else bytes([int(escape[1][1:], 16)]),
            os.fsencode(text),
        )
    )


def microseconds(nanoseconds: int | None) -> int | None:
    """A modification time in microseconds since 1970; None beyond the years 1 to 9999."""
    if nanoseconds is None:
        return None
    time = nanoseconds // 1000
    return time if _FIRST_MICROSECOND <= time <= _LAST_MICROSECOND else None
