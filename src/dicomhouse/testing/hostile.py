"""Files that claim, nest, repeat or unfold without end: each has to end as one row, at a bound."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

_UNDEFINED = b"\xff\xff\xff\xff"
_ITEM = b"\xfe\xff\x00\xe0"
_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
_SEQUENCE = b"\x08\x00\x40\x11SQ\0\0"
_UID = b"\x08\x00\x18\x00UI\x04\x001.2\0"


def hostile_files(many: int = 1_000_000) -> Iterator[tuple[str, bytes]]:
    """What each file tries, and its bytes; `many` is how often the repeating ones repeat."""
    explicit, text = ExplicitVRLittleEndian, b"12345678"
    yield "length of 4 GB", _part10(explicit, _UID + b"\x10\0\x00\x40UT\0\0\xf0\xff\xff\xff" + text)
    yield (
        "length of 4 GB, implicit",
        _part10(ImplicitVRLittleEndian, b"\x08\0\x18\0\xfe\xff\xff\xff1.2\0"),
    )
    yield (
        "length of 4 GB, big endian",
        _part10(ExplicitVRBigEndian, b"\0\x10\x40\0UT\0\0\xff\xff\xff\xf0" + text),
    )
    yield (
        "nests 10,000 levels",
        _part10(explicit, _UID + (_SEQUENCE + _UNDEFINED + _ITEM + _UNDEFINED) * 10_000),
    )
    yield "nests 10,000 levels of known length", _part10(explicit, _UID + _nested(10_000))
    unfolds = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = b"".join(unfolds.compress(bytes(1 << 20)) for _ in range(128)) + unfolds.flush()
    yield "deflated bomb", _part10(DeflatedExplicitVRLittleEndian, bomb)
    yield "deflated bomb without preamble", _part10(DeflatedExplicitVRLittleEndian, bomb)[132:]
    yield "deflated without end", _part10(DeflatedExplicitVRLittleEndian, b"\0\0\0\xff\xff" * many)
    yield "a million elements", _part10(explicit, _UID + _elements(many, b""))
    yield "a million different elements", _part10(explicit, _UID + _elements(many, None))
    yield "a million elements, out of order", _part10(explicit, _elements(many, b"") + _UID)
    items = b"".join(_ITEM + struct.pack("<L", 16) + _leaf(i) for i in range(many))
    yield "a million items", _part10(explicit, _UID + _SEQUENCE + _UNDEFINED + items + _END)
    whole = _SEQUENCE + struct.pack("<L", len(items)) + items
    yield "a million items of known length", _part10(explicit, _UID + whole)
    yield "a million items, out of order", _part10(explicit, whole + _UID)
    yield "a million items as UN", _part10(explicit, _UID + whole.replace(b"SQ", b"UN", 1))
    yield (
        "a million empty items",
        _part10(explicit, _SEQUENCE + _UNDEFINED + (_ITEM + bytes(4)) * many + _END + _UID),
    )
    creators = b"".join(
        struct.pack("<HH2sH", 0x11 + 2 * (i // 240), 0x10 + i % 240, b"LO", 2) + b"AB"
        for i in range(many // 10)
    )
    yield "a storm of private creators", _part10(explicit, _UID + creators)
    values = b"1\\" * (8 * many)
    yield "a list of 8 million numbers", _part10(explicit, _UID + _long(0x60, b"UT", values))
    yield "a list of 4 million integers", _part10(explicit, _UID + _long(0x61, b"US", values))
    name = b"X" * (1 << 20)
    block = b"".join(struct.pack("<HH2sH", 0x11, 0x1000 + i, b"CS", 0) for i in range(256))
    creator = b"\x11\0\x10\0UT\0\0" + struct.pack("<L", len(name)) + name
    yield "a private creator of 1 MB", _part10(explicit, _UID + creator + block)
    pixels = b"\xe0\x7f\x10\x00OW\0\0\0\0\0\0"
    yield "pixel data a million times", _part10(explicit, _UID + pixels * many)
    fragments = b"\xe0\x7f\x10\x00OB\0\0" + _UNDEFINED + (_ITEM + bytes(4)) * (2 * many) + _END
    yield "two million fragments", _part10(explicit, _UID + fragments)
    yield "a header of 64 MB", _part10(explicit, _UID + _blobs(64 * many // 1000))


def _part10(syntax: str, dataset: bytes) -> bytes:
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    meta = b"\x02\0\x10\0UI" + struct.pack("<H", len(uid)) + uid
    return bytes(128) + b"DICM\x02\0\0\0UL\x04\0" + struct.pack("<L", len(meta)) + meta + dataset


def _elements(many: int, value: bytes | None) -> bytes:
    """Elements of odd groups in rising order; without a value, each has its own."""
    return b"".join(
        struct.pack("<HH2sH", 0x11 + 2 * (i // 60_000), 0x1000 + i % 60_000, b"LO", len(text))
        + text
        for i in range(many)
        for text in (b"%08d" % i if value is None else value,)
    )


def _leaf(number: int) -> bytes:
    return b"\x08\x00\x55\x11UI\x08\x001.%06d" % (number % 1_000_000)


def _nested(levels: int) -> bytes:
    heads = []
    length = 0
    for _ in range(levels):
        heads.append(_SEQUENCE + struct.pack("<L", length + 8) + _ITEM + struct.pack("<L", length))
        length += 20
    return b"".join(reversed(heads))


def _long(number: int, vr: bytes, value: bytes) -> bytes:
    long_vr = vr in (b"UT", b"OB")
    if long_vr:
        return struct.pack("<HH2sHL", 0x11, number, vr, 0, len(value)) + value
    # As UN a value may be longer than its own VR's length field could say.
    return struct.pack("<HH2sHL", 0x28, 0x3006, b"UN", 0, len(value)) + value


def _blobs(kilobytes: int) -> bytes:
    return b"".join(
        struct.pack("<HH2sHL", 0x11, 0x1000 + i, b"OB", 0, 1 << 16) + bytes(1 << 16)
        for i in range(kilobytes // 64)
    )
