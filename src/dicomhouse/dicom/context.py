"""What the meaning of an element's bytes depends on, for the fast reader.

A `Place` says it in values, a `Context` is the one object of a place within a batch and knows what
was read there, and a `Scope` is a data set being walked. Private creators stand beside the
context: they change within a data set far more often than it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import dicomhouse.without_decoders  # noqa: F401

# isort: split
from pydicom.dataelem import RawDataElement

from dicomhouse.dicom.decode import DEFAULT_CHARSET, Charset
from dicomhouse.standard.tags import CHARACTER_SET, PIXEL_REPRESENTATION, TRANSFER_SYNTAX

TURNS = frozenset({TRANSFER_SYNTAX, CHARACTER_SET, PIXEL_REPRESENTATION})
"""After these the same bytes may mean something else."""


class Unusual(Exception):
    """The reference reader has to decide."""


class More(Exception):
    """The buffer must reach up to here."""

    def __init__(self, end: int) -> None:
        self.end = end


class Place(NamedTuple):
    """What the meaning of an element's bytes depends on, apart from its private creator."""

    phase: str
    """`meta`, `dataset`, `rest` (behind the pixels) or `item`."""
    implicit: bool = False
    chars: Charset = DEFAULT_CHARSET
    syntax: str | None = None
    pixel_representation: int | None = None
    path: str = ""
    depth: int = 0


class Creator:
    """A private creator's element, and the elements known of its block.

    Its bytes are kept beside its text, since pydicom's own lookup depends on them.
    """

    __slots__ = ("known", "raw", "text")

    def __init__(self, raw: RawDataElement, text: str | None) -> None:
        self.raw = raw
        self.text = text
        self.known: dict[bytes, int] = {}


Creators = Mapping[int, Creator]
"""By `tag >> 8` of the elements of their blocks. Runs hold on to them: never changed in place."""

NO_CREATORS: Creators = {}


def creator_of(creators: Creators, tag: int) -> Creator | None:
    """The creator of the private block that an element belongs to (PS3.5 7.8.1)."""
    return creators.get(tag >> 8) if tag & 0x10000 and tag & 0xF000 else None


Head = tuple[int, str, int, int]
"""Tag, VR (empty when implicit), length of the head, length of the value."""


class Context:
    """A place and what is known there: references at top level, codes within items."""

    __slots__ = ("creators", "heads", "implicit", "in_meta", "known", "place", "runs")

    def __init__(self, place: Place, heads: dict[bytes, Head]) -> None:
        self.place = place
        self.implicit = place.implicit
        self.in_meta = place.phase == "meta"
        self.heads = heads
        """By the 8 bytes that are all of a head; contexts of one encoding share them."""
        self.known: dict[bytes, int] = {}
        self.creators: dict[bytes, Creator] = {}
        self.runs: dict[int, list[Run]] = {}
        """By the tag before."""


State = tuple[int, int, Context, Creators]
"""Between two elements of a file's own data set: the position, the tag of the element before, the
context and the creators in force."""

Run = tuple[bytes, int, State]
"""The bytes of consecutive elements seen before, their reference, and the state they lead to, whose
position is the run's length."""


class Scope:
    """A data set being walked: what holds for its next element."""

    __slots__ = ("context", "creators", "item", "item_code", "representation")

    def __init__(
        self,
        context: Context,
        creators: Creators,
        representation: int | None,
        item: str = "",
        item_code: int = 0,
    ) -> None:
        self.context = context
        self.creators = creators
        self.representation = representation
        """The PixelRepresentation that holds for certain."""
        self.item = item
        """Its item numbers from the outermost; empty at top level."""
        self.item_code = item_code
