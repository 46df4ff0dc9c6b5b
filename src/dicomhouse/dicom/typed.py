"""From an element's canonical text to the Python value of its column in `images`.

A column's type follows from the dictionary (`lake.schema.image_type`); what does not fit it is
None here and keeps its text, with a problem of class `value`, in `elements`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from dicomhouse.dicom.decode import (
    BULK,
    NUMBERS,
    Value,
    parse_date,
    parse_datetime,
    parse_number,
    parse_time,
)
from dicomhouse.dicom.elements import Element
from dicomhouse.standard.dictionary import Attribute

_WITH_COLUMN = re.compile(r"(?!O[BDFLVW]|UN|NONE)[A-Z]{2}(?: or SS)?")
"""Dictionary VRs, without those of bulk data."""
_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")
_INT64 = range(-(1 << 63), 1 << 63)
_UINT64 = range(1 << 64)


def _integer(text: str) -> int | None:
    if _WHOLE.fullmatch(text):  # not by way of a double, which holds 53 bits
        number = int(text)
    else:
        as_float = parse_number(text)
        if as_float is None or not as_float.is_integer():
            return None
        number = int(as_float)
    return number if number in _INT64 else None


def _unsigned(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and int(text) in _UINT64 else None


_CONVERTERS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("DS", "FL", "FD"), parse_number),
    **dict.fromkeys(("IS", "US", "SS", "UL", "SL", "SV", "US or SS"), _integer),
    "UV": _unsigned,
    "DA": parse_date,
    "TM": parse_time,
    "DT": parse_datetime,
}


def fits(attribute: Attribute, vr: str, value: Value) -> bool:
    """Whether what was decoded by the VR `vr` is something for the attribute's column.

    An attribute without a column, and an empty value, have nothing that could not fit.
    """
    if not value.vm or not _WITH_COLUMN.fullmatch(attribute.vr):
        return True
    if attribute.vr == "SQ" or vr == "SQ":
        return attribute.vr == vr
    if value.text is None:
        return False
    convert = _CONVERTERS.get(attribute.vr)
    if convert is None:
        return True
    texts = value.text.split("\\")
    return all(convert(text) is not None for text in texts if text)


def column_value(attribute: Attribute, element: Element) -> Any:
    """The value of one element in the column of its attribute: a scalar, a list, or None.

    A list keeps None where one of its values does not fit. A column is None where the file gives
    another number of values than the one that the dictionary says (PS3.5 6.4).
    """
    if element.value is None or (attribute.vm.isdigit() and element.vm != int(attribute.vm)):
        return None
    convert = _CONVERTERS.get(attribute.vr, str)
    if convert is parse_number and element.vr == "DS" and element.problem is None:
        convert = float  # each of its values is a number
    if attribute.vm != "1":
        return [convert(text) if text else None for text in element.value.split("\\")]
    return convert(element.value)


def sequence_json(count: int, occurrences: Sequence[tuple[Element, str]]) -> str:
    """A sequence's items in the DICOM JSON model (PS3.18 Annex F), without bulk data.

    Args:
        count: number of the top-level sequence's items.
        occurrences: the elements below it with their item numbers, in the order of the file.
    """
    items: list[dict[str, Any]] = [{} for _ in range(count)]
    open_sequences = {"": items}  # by the item that holds the sequence last begun there
    for element, item in occurrences:
        above, _, number = item.rpartition(".")
        entry: dict[str, Any] = {"vr": element.vr}
        if element.vr == "SQ":
            entry["Value"] = open_sequences[item] = [{} for _ in range(int(element.number or 0))]
        elif element.vr in BULK:
            continue
        elif element.value is not None:
            entry["Value"] = list(_json_values(element))
        open_sequences[above][int(number)][f"{element.tag:08X}"] = entry
    return json.dumps(items, ensure_ascii=False, separators=(",", ":"))


def _json_values(element: Element) -> Iterable[Any]:
    assert element.value is not None
    parts = [element.value] if element.vm == 1 else element.value.split("\\")
    for part in parts:
        if not part:
            yield None
        elif element.vr == "PN":
            names = dict(
                zip(("Alphabetic", "Ideographic", "Phonetic"), part.split("="), strict=False)
            )
            yield {kind: name for kind, name in names.items() if name}
        elif element.vr in NUMBERS or element.vr in ("DS", "IS"):
            integer = _integer(part) if element.vr not in ("DS", "FL", "FD") else None
            number = integer if integer is not None else parse_number(part)
            yield part if number is None else number
        else:
            yield part
