"""All there is to say of one tag: what the standard has, and what a warehouse holds of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from dicomhouse.errors import UsageError
from dicomhouse.output import printable
from dicomhouse.resources import resource
from dicomhouse.standard.tags import PrivateTag, is_structural, nearest_keywords, parse_tag
from dicomhouse.warehouse.database import connect_standard, query

if TYPE_CHECKING:
    import duckdb

_MOST = 6  # modules and paths that are shown, the others are counted
_BAR = 30
_VALUE = 40


def tag_card(
    text: str, iods: Sequence[str], warehouse: duckdb.DuckDBPyConnection | None
) -> dict[str, Any]:
    """What is known of a tag, as lists of rows: `dictionary`, `modules` and `profile`.

    Args:
        text: the tag in any form that `parse_tag` reads.
        iods: IODs to keep in `modules`, such as `ct-image`; all when empty.
        warehouse: a generation's DuckDB file, or None: then `profile` is None.

    Raises:
        UsageError: the text is not a tag, or one that neither the dictionaries nor the warehouse
            know, or an IOD is none; the message names the nearest ones.
    """
    parsed = parse_tag(text)
    private = isinstance(parsed, PrivateTag)
    tag = None if private else f"{parsed:08X}"
    path = str(parsed) if private else None
    known = [] if warehouse is None else [row["iod"] for row in _rows(warehouse, "iods", {})]
    with connect_standard() as standard:
        _check_iods(iods, [row["iod"] for row in _rows(standard, "standard_iods", {})])
        dictionary = _rows(standard, "tag_dictionary", {"tag": tag, "path": path})
        asked = {"tag": tag, "iods": list(iods), "known_iods": known}
        modules = [] if private else _rows(standard, "tag_modules", asked)
    masks = [row["tag"].replace("x", "_") for row in dictionary if not row["private_creator"]]
    profile = None
    if warehouse is not None:
        profile = _rows(warehouse, "tag_profile", {"tag": masks[0] if masks else tag, "path": path})
    structural = parsed.element is None if isinstance(parsed, PrivateTag) else is_structural(parsed)
    if not (dictionary or profile or structural):
        raise UsageError(_unknown(parsed, warehouse is not None))
    return {
        "tag": path or tag, "is_structural": structural,
        "dictionary": dictionary, "modules": modules, "profile": profile,
    }  # fmt: skip


def _unknown(tag: int | PrivateTag, has_warehouse: bool) -> str:
    if isinstance(tag, PrivateTag):
        written, kind = str(tag), "private tags"
        with connect_standard() as standard:
            known = _rows(standard, "private_paths", {"group": f"{tag.group:04X}"})
        nearest = get_close_matches(written, [row["path"] for row in known], n=5, cutoff=0.8)
    else:
        written, kind = _number(f"{tag:08X}"), "keywords"
        nearest = nearest_keywords(tag)
    text = f"{written} is in no dictionary that is known here"
    text += " and in no image of this warehouse." if has_warehouse else "."
    return text + (f" The nearest {kind} are {', '.join(nearest)}." if nearest else "")


def _number(tag: str) -> str:
    return f"({tag[:4]},{tag[4:]})"


def _check_iods(asked: Iterable[str], iods: Sequence[str]) -> None:
    for iod in asked:
        if iod not in iods:
            nearest = get_close_matches(iod.lower(), iods, n=3, cutoff=0.3)
            raise UsageError(
                f"{iod!r} is not an IOD. The nearest are {', '.join(nearest) or 'none'}."
            )


def _rows(
    connection: duckdb.DuckDBPyConnection, name: str, variables: dict[str, Any]
) -> list[dict[str, Any]]:
    statement = resource("sql", "commands", f"{name}.sql").read_text()
    rows: list[dict[str, Any]] = query(connection, statement, variables).to_pylist()
    return rows


def lines(card: dict[str, Any]) -> Iterable[str]:
    """The card for a terminal, values of files neutralised."""
    yield from _dictionary_lines(card)
    yield ""
    yield from _module_lines(card)
    if card["profile"] is not None:
        yield ""
        yield from _profile_lines(card)


def _dictionary_lines(card: dict[str, Any]) -> Iterable[str]:
    tag, entries = card["tag"], card["dictionary"]
    yield printable(tag if tag.startswith("(") else _number(tag))
    for entry in entries:
        retired = ", retired" if entry["is_retired"] else ""
        creator = entry["private_creator"]
        owner = f", private of {creator}" if creator else ""
        keyword = f"{entry['keyword']}: " if entry["keyword"] else ""
        yield printable(
            f"  {keyword}{entry['name'] or 'no name'}, VR {entry['vr']}, VM {entry['vm']}"
            f"{retired}{owner}"
        )
    if card["is_structural"]:
        yield "  of the file's form: file meta information, a group length or a private creator"
    elif not entries:
        yield "  in no dictionary that is known here"


def _module_lines(card: dict[str, Any]) -> Iterable[str]:
    modules = card["modules"]
    if not modules:
        yield "in no module of the standard's IODs"
        return
    yield "in the standard"
    for row in modules[:_MOST]:
        iods = row["iods"]
        which = iods[0] if len(iods) == 1 else f"{iods[0]} and {len(iods) - 1} more"
        yield (
            f"  {row['path']}: type {row['attribute_type']} of {row['module']} "
            f"(usage {row['usage']}, {row['information_entity']}) in {which}"
        )
        for link in (row["link_standard"], row["link_innolitics"]):
            if link:
                yield f"    {link}"
    if len(modules) > _MOST:
        yield f"  and {len(modules) - _MOST:,} more: --format json has all, --iod IOD those of one"


def _profile_lines(card: dict[str, Any]) -> Iterable[str]:
    profile = card["profile"]
    if card["is_structural"]:
        yield "profiles leave such elements out, the table elements has them"
        return
    if not profile:
        yield "in no image of this warehouse"
        return
    yield "in this warehouse"
    for row in profile[:_MOST]:
        yield printable(f"  {row['source']}: {row['path']}, {row['verdict']}")
        yield f"    {_counts(row)}"
        yield from _bars(row)
    if len(profile) > _MOST:
        yield f"  and {len(profile) - _MOST:,} more sources and paths: --format json has all"


def _counts(row: dict[str, Any]) -> str:
    states = [f"{row[state]:,} {state}" for state in ("empty", "absent", "invalid") if row[state]]
    text = f"present in {row['present']:,} of {row['images']:,} images"
    text += f" ({', '.join(states)})" if states else ""
    text += f"; {row['distinct_values']:,} value{'s' * (row['distinct_values'] != 1)}"
    if row["number_min"] is not None and row["number_min"] < row["number_max"]:
        low, high, mean = row["number_min"], row["number_max"], row["number_mean"]
        text += f", {low:.10g} to {high:.10g}, mean {mean:.6g}"
    return text


def _bars(row: dict[str, Any]) -> Iterable[str]:
    values = [(_short(value["value"]), value["images"]) for value in row["commonest"]]
    width = max((len(text) for text, _ in values), default=0)
    for text, images in values:
        bar = "█" * max(1, round(_BAR * images / values[0][1]))
        yield f"    {text.ljust(width)}  {bar} {images:,}"
    others = row["distinct_values"] - len(values)
    if values and others > 0:
        yield f"    and {others:,} more"


def _short(value: Any) -> str:
    text = printable(str(value))
    return text if len(text) <= _VALUE else text[: _VALUE - 1] + "…"
