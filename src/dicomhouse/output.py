"""Rows for a terminal, a file or another program. Text from files is shown, never obeyed."""

from __future__ import annotations

import csv
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Any
from unicodedata import category

if TYPE_CHECKING:
    import pyarrow as pa

FORMS = ("table", "csv", "json", "parquet")
_WIDEST = 120
_NARROWEST = 20
"""What a terminal leaves at least of the width of a long text before rows stand one by one."""
_ROWS_AT_ONCE = 10_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_ODD = r"^[=+\-@]|[^ -~]|[,\"]"
"""Found in every text that CSV has in quotes or that `_csv` changes, and in some others."""
_NUMBERS = re.compile(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?(\\[-+]?[0-9.]+(e[-+]?[0-9]+)?)*", re.IGNORECASE)
_OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""The general categories of Unicode that a screen obeys instead of showing: controls, which end
lines or move the cursor, and formats, which turn the direction of text or are not seen at all."""


def write(rows: pa.Table, form: str) -> None:
    """Write rows to standard output as `table`, `csv`, `json` (a line a row) or `parquet`."""
    match form:
        case "parquet":
            import pyarrow.parquet as pq

            pq.write_table(rows, sys.stdout.buffer)
        case "json" | "csv":
            write_all([rows], form)
        case _:
            cells = [list(map(_cell, values)) for values in _by_row(rows)]
            show = _fitted if sys.stdout.isatty() else _plain
            show(rows.column_names, cells)


def write_all(batches: Iterable[pa.Table | pa.RecordBatch], form: str) -> None:
    """Write rows, some at a time, as `csv`, `json` or `parquet`: there may be millions.

    Args:
        batches: one at least, all with the same columns.
        form: as of `write`.
    """
    batches = iter(batches)
    first = next(batches)
    match form:
        case "parquet":
            import pyarrow.parquet as pq

            with pq.ParquetWriter(sys.stdout.buffer, first.schema) as file:
                for batch in batches:
                    file.write_batch(batch)
        case "json":
            names = first.schema.names
            for rows in chain([first], batches):
                for values in _by_row(rows):
                    row = _json(dict(zip(names, values, strict=True)))
                    line = json.dumps(row, ensure_ascii=False, default=str)
                    print(_escaped(line, "", lambda c: json.dumps(c)[1:-1]))
        case _:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(first.schema.names)
            for rows in chain([first], batches):
                for some in _slices(rows):
                    if (lines := _csv_lines(some)) is None:
                        writer.writerows(map(_csv, values) for values in _by_row(some))
                    else:
                        sys.stdout.writelines(lines)


def _slices(rows: pa.Table | pa.RecordBatch) -> Iterator[pa.Table | pa.RecordBatch]:
    for start in range(0, rows.num_rows, _ROWS_AT_ONCE):
        yield rows.slice(start, _ROWS_AT_ONCE)


def _by_row(rows: pa.Table | pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    """The values of each row, as Python's: of some thousand rows at a time."""
    for some in _slices(rows):
        yield from zip(*(column.to_pylist() for column in some.columns), strict=True)


def _fitted(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table no wider than the terminal: long texts go on in the next line of their cell.

    Where that would leave too little of each cell, a line a value instead, row by row.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    needed = sum(min(width, _NARROWEST) + 2 for width in _widths(names, rows)) - 2
    if needed > console.width:
        if not rows:
            console.print(Text(f"no row of {', '.join(names)}"))
        for number, row in enumerate(rows, 1):
            record = Table.grid(padding=(0, 2, 0, 0))
            record.add_column(style="bold", no_wrap=True)
            record.add_column(overflow="fold")
            for name, text in zip(names, row, strict=True):
                record.add_row(Text(name), Text(text))  # as text: nothing in it is markup
            console.print(Text(f"row {number:,} of {len(rows):,}".ljust(24, "·"), style="dim"))
            console.print(record)
        return
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name in names:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _plain(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = _widths(names, rows)
    for line in (names, ["-" * width for width in widths], *rows):
        print(
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        )


def _widths(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(names, *rows, strict=True)]


def _cell(value: Any) -> str:
    text = printable("" if value is None else str(value))
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def printable(text: str, but: str = "") -> str:
    """Text without what a screen would obey: such characters as escapes, all `but` some."""
    return _escaped(text, but, lambda c: repr(c)[1:-1])


def _escaped(text: str, but: str, escape: Callable[[str], str]) -> str:
    if text.isprintable():
        return text
    return "".join(escape(c) if category(c) in _OBEYED and c not in but else c for c in text)


def _json(value: Any) -> Any:
    """A value as JSON knows it: a number that is none is null, a decimal a number, bytes are hex.

    What is left, times above all, stands as text.
    """
    match value:
        case dict():
            return {name: _json(one) for name, one in value.items()}
        case list():
            return [_json(one) for one in value]
        case bytes():
            return value.hex()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case float() if not math.isfinite(value):
            return None
    return value


def _csv_lines(rows: pa.Table | pa.RecordBatch) -> list[str] | None:
    """Lines of CSV, where values need no more than commas between them: a tenth of the time.

    None where one of them may need more.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = []
    for column in rows.columns:
        if pa.types.is_string(column.type):
            if pc.any(pc.match_substring_regex(column, _ODD)).as_py():
                return None
        elif not pa.types.is_integer(column.type):
            return None
        columns.append(column.cast(pa.string()))
    if len(columns) < 2:  # a line that is empty would be none
        return None
    columns[-1] = pc.binary_join_element_wise(
        columns[-1], "", "\n", null_handling="replace", null_replacement=""
    )
    lines: list[str] = pc.binary_join_element_wise(
        *columns, ",", null_handling="replace", null_replacement=""
    ).to_pylist()
    return lines


def _csv(value: Any) -> Any:
    """A spreadsheet would run a text that begins like a formula: an apostrophe keeps it text.

    Numbers, several of them too (`-1024`, `-166.0\\-171.7`), are none and stay as they are.
    What a terminal would obey is escaped; tabs and ends of lines stay.
    """
    if not isinstance(value, str):
        is_nested = isinstance(value, list | dict)
        return json.dumps(_json(value), default=str) if is_nested else value
    is_formula = value.startswith(_FORMULA) and not _NUMBERS.fullmatch(value)
    text = printable(value, but="\t\r\n")
    return f"'{text}" if is_formula else text
