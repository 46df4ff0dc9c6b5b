"""The data dictionary of PS3.6 as pydicom ships it, looked up by tag or keyword."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import NamedTuple

import dicomhouse.without_decoders  # noqa: F401

# isort: split
from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom.datadict import mask_match

_REMEMBERED = 1 << 14
"""Tags: more than the standard has, fewer than a hostile file can."""


class Attribute(NamedTuple):
    """A row of PS3.6: what the standard says of a tag."""

    tag: int
    keyword: str
    name: str
    vr: str
    vm: str
    is_retired: bool


@lru_cache(_REMEMBERED)
def attribute(tag: int) -> Attribute | None:
    """The dictionary's entry of a tag, None where it has none (private ones too)."""
    entry = DicomDictionary.get(tag)
    if entry is None:
        return None
    vr, vm, name, retired, keyword = entry
    return Attribute(tag, keyword, name, vr, vm, bool(retired))


@lru_cache(_REMEMBERED)
def repeating_attribute(tag: int) -> Attribute | None:
    """The entry of a tag in a repeating group (50xx, 60xx and the like), None elsewhere."""
    mask = mask_match(tag)
    if mask is None:
        return None
    vr, vm, name, retired, keyword = RepeatersDictionary[mask]
    return Attribute(tag, keyword, name, vr, vm, bool(retired))


@cache
def _by_keyword() -> dict[str, int]:
    return {entry[4]: tag for tag, entry in DicomDictionary.items() if entry[4]}


def attribute_of_keyword(keyword: str) -> Attribute | None:
    tag = _by_keyword().get(keyword)
    return None if tag is None else attribute(tag)
