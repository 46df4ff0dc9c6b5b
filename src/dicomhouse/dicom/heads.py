"""What stands before an element's value, for the fast reader: little endian only."""

from __future__ import annotations

from struct import Struct

import dicomhouse.without_decoders  # noqa: F401

# isort: split
from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

from dicomhouse.dicom.context import Head, More, Unusual
from dicomhouse.dicom.parse import looks_like_vr

ITEM = b"\xfe\xff\x00\xe0"
ITEM_END = b"\xfe\xff\x0d\xe0\0\0\0\0"
SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
META_GROUP = b"\x02\x00"
META_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"

unpack_long = Struct("<L").unpack_from
_unpack_explicit = Struct("<HH2sH").unpack_from
_unpack_implicit = Struct("<HHL").unpack_from
_SIZES = {
    **{vr.encode(): (str(vr), 8) for vr in EXPLICIT_VR_LENGTH_16},
    **{vr.encode(): (str(vr), 12) for vr in EXPLICIT_VR_LENGTH_32},
}
"""By the bytes of a VR, its name and how long an element's head is with it."""
_FIRST_DELIMITER_GROUP = 0xFFFE
_MAX_KEPT = 1 << 16


def read_head(data: bytes, pos: int, implicit: bool, known: dict[bytes, Head]) -> Head:
    """Read the head of the element at `pos`, and keep it in `known` if it is 8 bytes long."""
    if pos + 8 > len(data):
        raise More(pos + 8)
    if implicit:
        group, number, length = _unpack_implicit(data, pos)
        vr, size = "", 8
    else:
        group, number, in_file, length = _unpack_explicit(data, pos)
        vr, size = _SIZES.get(in_file, ("", 0))
        if not vr:
            raise Unusual
    if group >= _FIRST_DELIMITER_GROUP:
        raise Unusual
    tag = group << 16 | number
    if size == 8:
        head = (tag, vr, 8, length)
        if len(known) < _MAX_KEPT:
            known[data[pos : pos + 8]] = head
        return head
    if pos + 12 > len(data):
        raise More(pos + 12)
    (length,) = unpack_long(data, pos + 8)
    return tag, vr, 12, length


def looks_explicit(data: bytes, pos: int) -> bool:
    """Whether something like a VR stands in the head at `pos`."""
    return looks_like_vr(data[pos + 4 : pos + 6])
