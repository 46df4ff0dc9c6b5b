"""How far encapsulated pixel data goes: by the heads of its fragments, never by their bytes."""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import BinaryIO, NamedTuple

from pydicom._uid_dict import UID_dictionary

from dicomhouse.dicom.metered import Exceeded
from dicomhouse.standard.dictionary import attribute

_ITEM, _END = 0xFFFEE000, 0xFFFEE0DD
_HEAD = 8
_PIXEL_DATA = 0x7FE00010

ZEROED = "zeroed: nothing but zeros from within its data set to its end"
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
    """Whether the fragments are there, and not the delimiter."""
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
    delimiter = Struct(order + "HH").pack(_END >> 16, _END & 0xFFFF)
    total = 0
    lack = "pixel_data_ends: the file ends within its pixel data"
    for number in range(most + 2):
        stream.seek(position)
        head = stream.read(_HEAD)
        group, element, length = unpack(head.ljust(_HEAD, b"\0"))
        tag = group << 16 | element
        if len(head) == _HEAD and tag == _ITEM:
            position += _HEAD
            there = min(length, size - position)
            total += there if number else 0
            if there < length:
                break
            position += length
        elif len(head) == _HEAD and tag == _END:
            return Fragments(total, position + _HEAD)
        elif number < 2:  # not one fragment
            lack = lack if head.strip(b"\0") or not head else ZEROED
            break
        elif not head.strip(b"\0") or (len(head) < _HEAD and delimiter.startswith(head[:4])):
            return Fragments(total, position + len(head), is_open=True)
        elif group == _ITEM >> 16:  # cut, or one that has no place here
            lack = lack if len(head) < _HEAD else _BROKEN
            break
        elif len(head) < _HEAD or tag > _PIXEL_DATA or attribute(tag) is not None:
            return Fragments(total, position, is_open=True)  # before the element that follows
        else:
            lack = _BROKEN
            break
    else:
        raise Exceeded(f"too_many: more than {most} fragments of pixel data")
    return Fragments(total, size, lack=lack)


@lru_cache(1 << 10)
def encapsulation_problem(tag: int, syntax: str | None, is_encapsulated: bool) -> str | None:
    """Whether pixel data is encapsulated where its transfer syntax is native, or the reverse."""
    if tag != _PIXEL_DATA or syntax not in UID_dictionary or syntax in _ELSEWHERE:
        return None
    is_odd = syntax in _NATIVE if is_encapsulated else syntax.startswith(_ENCAPSULATED)
    return "encapsulation_differs" if is_odd else None
