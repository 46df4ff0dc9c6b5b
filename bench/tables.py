"""Figures as Markdown: what can be pasted into the README."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def spread(values: Sequence[float]) -> str:
    """The median of some figures, and from where to where they go."""
    told = plain(median(values))
    if len(values) > 1:
        told += f" ({plain(min(values))} to {plain(max(values))})"
    return told


def plain(value: float) -> str:
    """A figure with as many digits as a measurement bears: 0.62, 14.2, 231."""
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def megabytes(n_bytes: float | None) -> str:
    return "" if n_bytes is None else f"{n_bytes / 1e6:,.0f} MB"


def verdict(kept: bool) -> str:
    return "kept" if kept else "missed"
