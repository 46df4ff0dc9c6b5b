"""What a run does with the parts and the files that are there: pure, plain data in and out.

A part is one batch's rows in all three tables under one name. Of each file that is present and did
not change, the rows are taken from one part; a part of which all rows are taken is kept as it is,
one of which some are is written anew without the rest, and what no part has is read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import eq

Fingerprint = tuple[int | None, int | None, str | None]
"""Size, modification time in microseconds, and why a file could not be looked at when scanned."""

Files = Mapping[str, Fingerprint]
"""By path below a source."""


@dataclass(frozen=True)
class Part:
    """A part that may be used: its source, and what its files were like when they were read."""

    name: str
    source: str
    files: Files


@dataclass(frozen=True)
class Use:
    """A part and the files in it whose rows are not wanted."""

    name: str
    source: str
    n_files: int
    """Files whose rows are wanted."""
    dropped: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Choice:
    """Where the rows of every present file come from; of each file exactly once."""

    uses: Sequence[Use]
    read: Mapping[str, frozenset[str]]
    """By source, the paths that no part has rows of."""


def choose(
    parts: Sequence[Part],
    present: Mapping[str, Files],
    again: Mapping[str, Collection[str]] | None = None,
) -> Choice:
    """Take the rows of every unchanged file from the first part that has them.

    Args:
        parts: those that may be used, the preferred ones first. A part of a source that is not
            present is not used; a name that comes again is the same part.
        present: by source, every file there is.
        again: by source, files that are read again although they look unchanged.
    """
    again = again or {}
    uses: dict[str, Use] = {}
    claimed: dict[str, set[str]] = {source: set() for source in present}
    for part in parts:
        if part.name in uses or part.source not in present:
            continue
        files, taken = present[part.source], claimed[part.source]
        unwanted = again.get(part.source, ())
        same = map(eq, part.files.values(), map(files.get, part.files))
        mine = set(compress(part.files, same)).difference(taken, unwanted)
        if mine:
            taken |= mine
            dropped = frozenset(part.files.keys() - mine)
            uses[part.name] = Use(part.name, part.source, len(mine), dropped)
    read = {source: frozenset(files.keys() - claimed[source]) for source, files in present.items()}
    return Choice(list(uses.values()), read)


def merges(sizes: Mapping[str, int], full: int) -> list[list[str]]:
    """Which of one source's parts become one, so that few small ones remain.

    Parts of `full` files are left alone. Of the others each must be larger than all smaller ones
    together, or these are merged: of n files in small parts no more than log2(n) + 1 parts remain,
    and a row is written again at most about as often. No merged part exceeds twice `full`.
    """
    small = sorted(
        (name for name, n in sizes.items() if n < full), key=lambda name: (sizes[name], name)
    )
    end = total = 0
    for position, name in enumerate(small):
        if position and total >= sizes[name]:
            end = position + 1
        total += sizes[name]
    groups: list[list[str]] = []
    filled = 0
    for name in small[:end]:
        if not groups or filled + sizes[name] > 2 * full:
            groups.append([])
            filled = 0
        groups[-1].append(name)
        filled += sizes[name]
    return [group for group in groups if len(group) > 1]
