"""Findings that someone has accepted: a list of lines, as CSV, that people keep and compare in git.

A line is `rule,subject,source,expires,author,reason`. What a line means, and whether it holds, is
said in SQL (`sql/lake/waivers.sql`); here it is read and written as text.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from hashlib import blake2b
from pathlib import Path

from dicomhouse.errors import StorageError, UsageError
from dicomhouse.filesystem import is_there, open_file, replace_file

COLUMNS = ("rule", "subject", "source", "expires", "author", "reason")
_NAME = "waivers.csv"
_NEEDED = {"rule", "subject", "reason"}

Waiver = Mapping[str, str | int | None]
"""By column its text, None where there is none; and its `line`, the first of the file being 1."""


def own_list(warehouse: Path) -> Path:
    """Where the list of a warehouse lies that is given no other."""
    return warehouse / _NAME


def listed(warehouse: Path, given: Path | None) -> list[Waiver]:
    """The lines of the list that a run is given, or else of the warehouse's own.

    Raises:
        UsageError: it cannot be read, or the one that is given is not there.
    """
    if given is not None and not is_there(given):
        raise UsageError("no file {path} of waivers. --waivers says where it lies.", path=given)
    return read(own_list(warehouse), os.O_NOFOLLOW) if given is None else read(given)


def read(path: Path, flags: int = 0) -> list[Waiver]:
    """The lines of a list, those too that say too little; none where there is no file.

    Flags are those of `open_file`.

    Raises:
        UsageError: it cannot be read, or its head does not name the columns.
    """
    try:
        with open_file(path, flags)[0] as file:
            text = file.read().decode("utf-8-sig")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not valid UTF-8"
        raise UsageError(
            "cannot read the waivers {path}: {reason}.", path=path, reason=reason
        ) from error
    lines = csv.DictReader(io.StringIO(text, newline=""), restkey="", strict=True)
    try:
        if missing := _NEEDED.difference(lines.fieldnames or ()):
            raise UsageError(
                "the waivers {path} have no column {missing}. The first line is {head}.",
                path=path,
                missing=", ".join(sorted(missing)),
                head=",".join(COLUMNS),
            )
        return [
            {
                "line": lines.line_num,
                **{name: (line.get(name) or "").strip() or None for name in COLUMNS},
            }
            for line in lines
        ]
    except csv.Error as error:
        raise UsageError(
            "cannot read the waivers {path}, line {line}: {reason}.",
            path=path,
            line=lines.line_num,
            reason=error,
        ) from error


def add(path: Path, waiver: Mapping[str, str | None]) -> None:
    """Write one more line at the end of a list, and the list in one step; what is there stays.

    So do the group and the rights of a list that people share.

    Those who add at the same time wait for each other.

    Raises:
        StorageError: it cannot be written.
        UsageError: what stands there is no such list.
    """
    try:
        with _locked(path.parent):
            replace_file(path, _with_line(path, waiver), is_shared=True)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}.") from error


def _with_line(path: Path, waiver: Mapping[str, str | None]) -> bytes:
    read(path)
    try:
        with open_file(path)[0] as file:
            there = file.read().decode("utf-8-sig")
        names = next(csv.reader(io.StringIO(there)))
    except FileNotFoundError:
        there, names = ",".join(COLUMNS) + "\n", list(COLUMNS)
    line = io.StringIO()
    csv.DictWriter(line, names, "", "ignore", lineterminator="\n").writerow(waiver)
    joint = "" if there.endswith("\n") else "\n"
    return f"{there}{joint}{line.getvalue()}".encode()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def digest(waivers: list[Waiver], day: date) -> str | None:
    """What the list says on a day: another one where a line was changed or has expired since."""
    if not waivers:
        return None
    lines = [{**line, "is_past": str(line["expires"] or "9") < day.isoformat()} for line in waivers]
    return blake2b(json.dumps(lines).encode(), digest_size=8).hexdigest()
