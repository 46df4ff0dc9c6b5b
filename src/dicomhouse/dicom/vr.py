"""The VR that pydicom gives an element, settled without pydicom where its rules are plain.

Where they depend on more than the element and its place the element is `Unusual`, and where they
depend on the element alone, but are not plain, pydicom itself is asked.
"""

from __future__ import annotations

import warnings

import dicomhouse.without_decoders  # noqa: F401

# isort: split
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filewriter import _AMBIGUOUS_US_SS_TAGS
from pydicom.tag import BaseTag

from dicomhouse.dicom.context import Creator, More, Place, Unusual
from dicomhouse.dicom.decode import NUMBER_SIZES
from dicomhouse.dicom.heads import ITEM
from dicomhouse.dicom.reference import vr_of
from dicomhouse.standard.dictionary import attribute, repeating_attribute
from dicomhouse.standard.tags import PIXEL_REPRESENTATION, is_creator

US_OR_SS = _AMBIGUOUS_US_SS_TAGS
"""Tags whose VR PixelRepresentation decides."""


def check_is_sequence(data: bytes, start: int, tag: int, vr_file: str) -> None:
    """Let nothing but sequences pass among elements of undefined length.

    Args:
        data: holds the element.
        start: where its value begins.
        tag: its tag.
        vr_file: its VR in the file; empty where there is none.
    """
    if tag & 0x10000 and not tag & 0xFF00:
        raise Unusual
    if vr_file:
        if vr_file != "SQ":
            raise Unusual
        return
    if start + 4 > len(data):
        raise More(start + 4)
    entry = attribute(tag) or repeating_attribute(tag)
    if not (entry.vr == "SQ" if entry else data.startswith(ITEM, start)):
        raise Unusual


def settled_vr(
    place: Place,
    representation: int | None,
    creator: Creator | None,
    tag: int,
    vr_file: str,
    raw: bytes,
) -> str:
    """The VR that pydicom gives an element of defined length.

    Args:
        place: where it stands.
        representation: the PixelRepresentation that holds there.
        creator: of its private block.
        tag: its tag.
        vr_file: its VR in the file; empty where there is none.
        raw: its value.
    """
    if tag & 0x10000 and not _begins_group_plainly(tag, vr_file, raw):
        raise Unusual
    if vr_file and vr_file != "UN":
        size = NUMBER_SIZES.get(vr_file)
        if size is None or not len(raw) % size:
            return vr_file
        return _pydicom_vr(place.implicit, raw_element(tag, vr_file, raw))
    own = raw_element(tag, vr_file, raw)
    if tag & 0x10000:
        return _private_vr(place.implicit, creator, own)
    entry = attribute(tag) or repeating_attribute(tag)
    if entry is None or (vr_file and len(raw) >= 0xFFFF):
        return _pydicom_vr(place.implicit, own)
    if tag in US_OR_SS:
        return _us_or_ss(place.phase, representation, tag, raw)
    if entry.vr in ("OB or OW", "US or OW") and (vr_file or entry.vr == "US or OW"):
        raise Unusual  # depends on other elements
    size = NUMBER_SIZES.get(entry.vr)
    if " or " in entry.vr or (size is not None and len(raw) % size):
        return _pydicom_vr(place.implicit, own)
    return entry.vr


def raw_element(tag: int, vr_file: str, value: bytes) -> RawDataElement:
    """An element as pydicom reads it."""
    return RawDataElement(
        BaseTag(tag), vr_file or None, len(value), value, 0, not vr_file, True, True
    )


def _private_vr(implicit: bool, creator: Creator | None, own: RawDataElement) -> str:
    if 0x100 <= own.tag & 0xFFFF < 0x1000:
        raise Unusual  # pydicom sees a creator where the standard has none
    if creator is None:
        return _pydicom_vr(implicit, own)
    text = creator.raw.value
    if text and not (text.isascii() and text.rstrip(b" \0").decode().isprintable()):
        raise Unusual
    return _pydicom_vr(implicit, own, creator.raw)


def _us_or_ss(phase: str, representation: int | None, tag: int, raw: bytes) -> str:
    """US or SS, as PixelRepresentation says. Elements of items come with their own."""
    if len(raw) % 2 or tag < PIXEL_REPRESENTATION or phase == "rest":
        raise Unusual
    if representation is None and phase == "item":
        raise Unusual
    return "SS" if representation else "US"


def _begins_group_plainly(tag: int, vr_file: str, raw: bytes) -> bool:
    """False for a private group length or creator that pydicom might not convert.

    Converting any element of the group converts these too, and fails with them.
    """
    if tag & 0xFF00:
        return True
    if is_creator(tag):
        return vr_file in ("", "LO", "SH", "UN")
    return not tag & 0xFFFF and vr_file in ("", "UL") and len(raw) == 4


def _pydicom_vr(implicit: bool, own: RawDataElement, *others: RawDataElement) -> str:
    """The VR that pydicom gives an element, asked from pydicom itself."""
    dataset = Dataset({raw.tag: raw for raw in (*others, own)})
    dataset.set_original_encoding(implicit, True, "iso8859")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return vr_of(dataset, own)
