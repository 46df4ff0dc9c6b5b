"""How far encapsulated pixel data goes: by the heads of its fragments, never by their bytes."""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import BinaryIO, NamedTuple

import dicomhouse.without_decoders  # noqa: F401

# isort: split
from pydicom._uid_dict import UID_dictionary

from dicomhouse.dicom.metered import Exceeded
from dicomhouse.standard.dictionary import attribute

_ITEM, _ITEM_END, _END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_HEAD = 8
_PIXEL_DATA = 0x7FE00010

ZEROED = "zeroed: nothing but zeros from within its data set to its end"
CUT = "pixel_data_ends: the file ends within its pixel data"
_BROKEN = "pixel_data_broken: what follows a fragment of the pixel data is no item"

_NATIVE = frozenset({
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2",
})  # fmt: skip
_ENCAPSULATED = ("1.2.840.10008.1.2.4.", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1.98")
_ELSEWHERE = frozenset({
    "1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.204",
    "1.2.840.10008.1.2.4.205",
})  # fmt: skip
"""JPIP: the pixels are not in the file."""


class Fragments(NamedTuple):
    """The extent of encapsulated pixel data (PS3.5 Annex A.4)."""

    n_bytes: int
    """Of all fragments behind the offset table."""
    end: int
    """The position behind the delimiter, or where it should have stood."""
    is_open: bool = False
    """Whether the fragments are there, and not the delimiter, or that of an item in its place."""
    lack: str | None = None
    """The reason, where the fragments are not there whole."""


def measure_fragments(
    stream: BinaryIO, position: int, size: int, order: str, most: int
) -> Fragments:
    """Go from fragment to fragment.

    Args:
        stream: seekable; stands anywhere afterwards.
        position: of the first item, the offset table.
        size: of the whole stream.
        order: the byte order, `<` or `>`.
        most: fragments, with more of which the file is `Exceeded`.
    """
    unpack = Struct(order + "HHL").unpack
    item = Struct(order + "HH").pack(_ITEM >> 16, _ITEM & 0xFFFF)
    total = 0
    for number in range(most + 2):
        stream.seek(position)
        head = stream.read(_HEAD)
        if len(head) < _HEAD or not head.startswith(item):
            break
        position += _HEAD
        end = position + unpack(head)[2]
        if end > size:
            return Fragments(total + (size - position if number else 0), size, lack=CUT)
        if number:
            total += end - position
        position = end
    else:
        raise Exceeded(f"too_many: more than {most} fragments of pixel data")
    group, element, _ = unpack(head.ljust(_HEAD, b"\0"))
    tag = group << 16 | element
    is_whole_head = len(head) == _HEAD
    if is_whole_head and tag == _END:
        return Fragments(total, position + _HEAD)
    is_zero = not head.strip(b"\0")
    if number < 2:  # not one fragment
        return Fragments(total, size, lack=ZEROED if head and is_zero else CUT)
    delimiter = Struct(order + "HH").pack(_END >> 16, _END & 0xFFFF)
    is_wrong_end = is_whole_head and tag == _ITEM_END
    if is_zero or is_wrong_end or (not is_whole_head and delimiter.startswith(head[:4])):
        return Fragments(total, position + len(head), is_open=True)
    if group == _ITEM >> 16:  # a head that is cut, or of what has no place here
        return Fragments(total, size, lack=_BROKEN if is_whole_head else CUT)
    if is_whole_head and tag <= _PIXEL_DATA and attribute(tag) is None:
        return Fragments(total, size, lack=_BROKEN)
    return Fragments(total, position, is_open=True)  # before the element that follows


@lru_cache(1 << 10)
def encapsulation_problem(tag: int, syntax: str | None, is_encapsulated: bool) -> str | None:
    """Whether pixel data is encapsulated where its transfer syntax is native, or the reverse."""
    if tag != _PIXEL_DATA or syntax not in UID_dictionary or syntax in _ELSEWHERE:
        return None
    is_odd = syntax in _NATIVE if is_encapsulated else syntax.startswith(_ENCAPSULATED)
    return "encapsulation_differs" if is_odd else None
