"""Elements as bytes, and files taken apart and put together: pydicom would correct what is odd."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

UNDEFINED = 0xFFFFFFFF
ITEM_END = b"\xfe\xff\x0d\xe0\0\0\0\0"
SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
_META_AT = 132
_LONG_HEADS = frozenset(vr.encode() for vr in EXPLICIT_VR_LENGTH_32)


def raw_element(
    tag: int,
    vr: str,
    value: bytes,
    implicit: bool = False,
    undefined: bool = False,
    little: bool = True,
) -> bytes:
    """One element: its head and its value field as given, whatever the VR and the length."""
    order = "<" if little else ">"
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    length = UNDEFINED if undefined else len(value)
    if implicit:
        return head + struct.pack(order + "L", length) + value
    if vr in EXPLICIT_VR_LENGTH_32:
        return head + vr.encode() + b"\0\0" + struct.pack(order + "L", length) + value
    return head + vr.encode() + struct.pack(order + "H", length & 0xFFFF) + value


def raw_item(*elements: bytes, undefined: bool = False) -> bytes:
    """An item, little endian."""
    data = b"".join(elements)
    if undefined:
        return b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + data + ITEM_END
    return b"\xfe\xff\x00\xe0" + struct.pack("<L", len(data)) + data


def part10(syntax: str, data_set: bytes, *meta: bytes) -> bytes:
    """A whole file: preamble, group length, transfer syntax, other elements of group 0002."""
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    group = raw_element(0x00020010, "UI", uid) + b"".join(meta)
    length = raw_element(0x00020000, "UL", struct.pack("<L", len(group)))
    return bytes(128) + b"DICM" + length + group + data_set


def data_set_at(whole: bytes) -> int:
    """Where the elements of group 0002 end."""
    return next((at for tag, at, _ in _elements(whole, _META_AT) if tag >> 16 != 2), len(whole))


def split(whole: bytes) -> list[tuple[int, bytes]]:
    """Tag and bytes of each top-level element of a data set in explicit VR little endian.

    Its elements have defined lengths; encapsulated pixel data is taken up to the end.
    """
    return [(tag, whole[at:end]) for tag, at, end in _elements(whole, data_set_at(whole))]


def _elements(whole: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Tag, beginning and end of each element from a position on."""
    while at < len(whole):
        group, number, vr, length = struct.unpack_from("<HH2sH", whole, at)
        size = 8
        if vr in _LONG_HEADS:
            (length,) = struct.unpack_from("<L", whole, at + 8)
            size = 12
        end = len(whole) if length == UNDEFINED else at + size + length
        yield group << 16 | number, at, end
        at = end


def with_element(whole: bytes, tag: int, *elements: bytes) -> bytes:
    """The file with these bytes in the place of one top-level element, or where it would stand."""
    found = split(whole)
    before = b"".join(data for other, data in found if other < tag)
    after = b"".join(data for other, data in found if other > tag)
    return whole[: data_set_at(whole)] + before + b"".join(elements) + after
