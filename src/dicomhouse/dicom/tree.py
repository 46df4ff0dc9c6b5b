"""How an element is named: its path, and how private blocks and sequences nest."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from dicomhouse.dicom.decode import Value
from dicomhouse.dicom.elements import Element
from dicomhouse.dicom.problems import class_of, is_counted, joined
from dicomhouse.dicom.typed import fits
from dicomhouse.standard.dictionary import attribute, repeating_attribute
from dicomhouse.standard.tags import is_creator, is_private, is_structural, private_path

PIXEL_DATA = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
"""Float, Double Float and Pixel Data at top level: their values are never read."""


def creator_text(value: str | None) -> str | None:
    """The text that names a private block; None where it is longer than an LO may be (PS3.5 6.2).

    It is part of the path of all elements of its block.
    """
    return value if value is not None and len(value) <= 64 else None


def pixel_vr(tag: int, vr_file: str, is_encapsulated: bool) -> str:
    """The VR of pixel data: that of the file, if it has one."""
    native = {0x08: "OF", 0x09: "OD", 0x10: "OW"}[tag & 0xFFFF]
    return vr_file or ("OB" if is_encapsulated else native)


def keyword_of(tag: int) -> str | None:
    entry = attribute(tag) or repeating_attribute(tag)
    return entry.keyword or None if entry else None


def step(tag: int, creator: str | None) -> str:
    """One element's own part of a path.

    `creator` is the trimmed text of the creator element (for a creator, its own), None where
    there is no valid one.
    """
    if is_private(tag):
        if not tag & 0xFFFF:
            return f"{tag:08X}"
        return private_path(tag >> 16, creator or None, None if is_creator(tag) else tag & 0xFF)
    entry = attribute(tag)
    return entry.keyword if entry and entry.keyword else f"{tag:08X}"


def below(parent: str, tag: int, creator: str | None) -> str:
    """The path of an element within the path of its sequence."""
    own = step(tag, creator)
    return f"{parent}.{own}" if parent else own


class _Name(NamedTuple):
    """What an element's place and VR decide, whatever its value."""

    path: str
    keyword: str | None
    private_creator: str | None
    problem: str | None
    structural: bool


@lru_cache(1 << 12)
def _name(parent: str, tag: int, creator: str | None, vr: str, vr_file: str) -> _Name:
    return _Name(
        path=below(parent, tag, creator),
        keyword=keyword_of(tag),
        private_creator=creator if is_private(tag) and not is_creator(tag) else None,
        problem=_place_problem(tag, creator, vr, vr_file),
        structural=is_structural(tag),
    )


def element(
    parent: str,
    depth: int,
    tag: int,
    creator: str | None,
    vr: str,
    vr_file: str,
    n_bytes: int | None,
    value: Value,
    problem: str | None = None,
) -> Element:
    """The record of one element below the path `parent`.

    Args:
        problem: what is wrong with where it stands, beside what its value and VR tell.
    """
    name = _name(parent, tag, creator, vr, vr_file)
    problem_class, is_structural = None, name.structural
    if value.problem is not None or name.problem is not None or problem is not None:
        is_structural |= not is_counted(problem)
        problem = joined(problem, value.problem, name.problem)
        assert problem is not None
        problem_class = class_of(problem)
        entry = attribute(tag)
        if entry is not None and problem_class == "form" and not fits(entry, vr, value):
            problem, problem_class = joined(problem, "type_differs"), "value"
    fields = (
        name.path,
        tag,
        name.keyword,
        name.private_creator,
        depth,
        vr,
        vr_file,
        value.vm,
        value.text,
        value.number,
        n_bytes,
        value.digest,
        problem,
        problem_class,
        is_structural,
    )
    return tuple.__new__(Element, fields)  # half the time of a call with fifteen arguments


def _place_problem(tag: int, creator: str | None, vr: str, vr_file: str) -> str | None:
    is_alone = creator is None and is_private(tag) and bool(tag & 0xFFFF) and not is_creator(tag)
    return joined("private_without_creator" if is_alone else None, _vr_problem(tag, vr, vr_file))


def _vr_problem(tag: int, vr: str, vr_file: str) -> str | None:
    if vr_file == "UN" and vr != "UN":
        return "un_known_tag"
    entry = attribute(tag)
    if vr_file and entry and entry.vr != "NONE" and vr_file not in entry.vr.split(" or "):
        return "vr_differs"
    return None
