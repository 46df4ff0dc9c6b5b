"""Headers as bytes: a series is encoded once, an image is spliced into it.

pydicom encodes the elements that the images of a series share. What differs from image to image
comes as value bytes and gets its element header here, so that a file costs microseconds.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from pydicom.charset import convert_encodings
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import correct_ambiguous_vr, write_data_element
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

Values = dict[int, bytes | None]
"""Value fields of one image by tag, little endian, unpadded; None leaves the element out."""

SOP_INSTANCE_UID = 0x00080018

IMPLEMENTATION_CLASS_UID = "2.25.333716800093367901023964715816865093029"
IMPLEMENTATION_VERSION_NAME = "DICOMHOUSE_TEST"


class Template:
    """The encoded elements of a series, into which the values of single images go.

    `dataset` holds the shared elements; its text is encoded by its SpecificCharacterSet. An
    image may replace any of them and add others, whose VR is the dictionary's, or UN where
    private. `transfer_syntax` is explicit or implicit VR little endian; any other
    is a ValueError.
    """

    def __init__(self, dataset: Dataset, transfer_syntax: str) -> None:
        if transfer_syntax not in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
            raise ValueError("a template is written in explicit or implicit VR little endian")
        self._implicit = transfer_syntax == ImplicitVRLittleEndian
        correct_ambiguous_vr(dataset, True)
        self._vrs = {int(element.tag): str(element.VR) for element in dataset}
        self._elements = self._encode(dataset)
        self._layouts: dict[tuple[int, ...], list[tuple[bytes, int]]] = {}
        self._meta_before, self._meta_after = _meta_group(dataset, transfer_syntax)

    def file(self, values: Mapping[int, bytes | None]) -> bytes:
        """A whole Part 10 file: preamble, meta group, and the data set with `values` in it.

        `values` must have a SOPInstanceUID; MediaStorageSOPInstanceUID follows it.
        """
        media_uid = _element(0x00020003, "UI", values[SOP_INSTANCE_UID] or b"")
        meta = self._meta_before + media_uid + self._meta_after
        parts = [
            b"\0" * 128 + b"DICM",
            _element(0x00020000, "UL", struct.pack("<L", len(meta))),
            meta,
        ]
        for shared, tag in self._layout(tuple(values)):
            parts.append(shared)
            value = values.get(tag)
            if value is not None:
                parts.append(_element(tag, self._vrs[tag], value, self._implicit))
        return b"".join(parts)

    def _encode(self, dataset: Dataset) -> dict[int, bytes]:
        encodings = convert_encodings(dataset.get("SpecificCharacterSet") or "")
        elements = {}
        for element in dataset:
            buffer = DicomBytesIO()
            buffer.is_little_endian = True
            buffer.is_implicit_VR = self._implicit
            write_data_element(buffer, element, encodings)
            elements[int(element.tag)] = buffer.getvalue()
        return elements

    def _layout(self, tags: tuple[int, ...]) -> list[tuple[bytes, int]]:
        """Shared bytes and the tag that follows them; the last pair has a tag of 0: nothing."""
        layout = self._layouts.get(tags)
        if layout is None:
            for tag in tags:
                self._vrs.setdefault(tag, _dictionary_vr(tag))
            layout, shared = [], bytearray()
            for tag in sorted(self._vrs):
                if tag in tags:
                    layout.append((bytes(shared), tag))
                    shared.clear()
                else:
                    shared += self._elements.get(tag, b"")
            layout.append((bytes(shared), 0))
            self._layouts[tags] = layout
        return layout


def text(values: Iterable[object]) -> bytes:
    """A value field of several values, plain ASCII, joined by backslashes."""
    return "\\".join(map(str, values)).encode("ascii")


def _dictionary_vr(tag: int) -> str:
    if tag >> 16 & 1:
        return "UN"
    return {"OB or OW": "OW", "US or SS": "US"}.get(vr := dictionary_VR(tag), vr)


def _element(tag: int, vr: str, value: bytes, implicit: bool = False) -> bytes:
    if len(value) % 2:
        value += b"\0" if vr in ("UI", "OB", "UN") else b" "
    group, number = tag >> 16, tag & 0xFFFF
    if implicit:
        return struct.pack("<HHL", group, number, len(value)) + value
    if vr in EXPLICIT_VR_LENGTH_32:
        return struct.pack("<HH2sHL", group, number, vr.encode(), 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr.encode(), len(value)) + value


def _meta_group(dataset: Dataset, transfer_syntax: str) -> tuple[bytes, bytes]:
    """Group 0002 before and after MediaStorageSOPInstanceUID, without its group length."""
    before = _element(0x00020001, "OB", b"\0\1")
    before += _element(0x00020002, "UI", str(dataset.SOPClassUID).encode())
    after = _element(0x00020010, "UI", transfer_syntax.encode())
    after += _element(0x00020012, "UI", IMPLEMENTATION_CLASS_UID.encode())
    after += _element(0x00020013, "SH", IMPLEMENTATION_VERSION_NAME.encode())
    return before, after
