"""The distinct elements of a batch and the contexts they stand in, for the fast reader.

Each element is decoded once, and whoever met its bytes in the same context takes its code.
"""

from __future__ import annotations

from dicomhouse.dicom.bounds import Bounds
from dicomhouse.dicom.context import (
    TURNS,
    Context,
    Creator,
    Creators,
    Head,
    Place,
    Unusual,
    creator_of,
)
from dicomhouse.dicom.decode import NUMBER_SIZES, Value, charset, decode
from dicomhouse.dicom.elements import Headers
from dicomhouse.dicom.fragments import encapsulation_problem
from dicomhouse.dicom.problems import joined
from dicomhouse.dicom.tree import creator_text, element, pixel_vr
from dicomhouse.dicom.vr import US_OR_SS, raw_element
from dicomhouse.standard.tags import CHARACTER_SET, TRANSFER_SYNTAX, is_creator

MAX_KEY = 4096
"""Longer elements are decoded each time: their bytes would fill the memory."""
_MAX_CREATORS = 256
_MAX_DEPTH = 32
_CONTEXT_BYTES = 1000
"""What a context takes, about."""


class Catalogue:
    """Gives the codes of elements in `headers`, and the contexts of a batch.

    Args:
        headers: takes the elements.
        bounds: what a file may cost.
    """

    def __init__(self, headers: Headers, bounds: Bounds) -> None:
        self.headers = headers
        self.bounds = bounds
        self.max_depth = min(bounds.max_depth, _MAX_DEPTH)
        self._max_value_bytes, self._max_text_bytes = bounds.max_value_bytes, bounds.max_text_bytes
        self._most_elements = self._most_characters = 0
        self._heads: tuple[dict[bytes, Head], dict[bytes, Head]] = ({}, {})
        """Explicit and implicit."""
        self.forget()

    def forget(self) -> None:
        """Drop all that refers to elements."""
        self._contexts: dict[Place, Context] = {}
        self.start = self.context(Place("meta"))
        """Where each file begins."""
        self._sequences: dict[tuple[Place, int, str | None, str, int], int] = {}
        self._pixels: dict[tuple[int, str, int, bool, bool, str | None], int] = {}
        self.n_key_bytes = 0
        """Bytes of the elements that contexts and creators know."""

    def begin_file(self) -> None:
        """Bound what the next file may add."""
        self._most_elements = len(self.headers.elements) + self.bounds.max_distinct
        self._most_characters = self.headers.n_characters + 2 * self.bounds.max_header_bytes

    @property
    def n_kept(self) -> int:
        """Bytes kept to recognise elements by, about."""
        return self.n_key_bytes + _CONTEXT_BYTES * len(self._contexts)

    # Contexts

    def context(self, place: Place) -> Context:
        """The one context of a place."""
        context = self._contexts.get(place)
        if context is None:
            context = self._contexts[place] = Context(place, self._heads[place.implicit])
        return context

    def context_after(self, context: Context, tag: int, code: int, raw: bytes) -> Context:
        """The context after one of `TURNS` at top level."""
        if code < 0:
            raise Unusual
        record = self.headers.elements[code]
        place = context.place
        if tag == TRANSFER_SYNTAX:
            if record.vr != "UI" or record.problem or record.vm != 1:
                raise Unusual
            place = place._replace(syntax=record.value)
        elif tag == CHARACTER_SET:
            place = place._replace(chars=charset(record.value or ""))
        else:
            place = place._replace(pixel_representation=self.representation(code, raw))
        return self.context(place)

    def representation(self, code: int, raw: bytes) -> int:
        """The value of a PixelRepresentation."""
        if self.headers.elements[code].vr != "US" or raw not in (b"\0\0", b"\1\0"):
            raise Unusual
        return raw[0]

    def creators_after(
        self, context: Context, creators: Creators, tag: int, code: int, raw: bytes
    ) -> Creators:
        """The creators in force after the creator element `tag`."""
        record = self.headers.elements[code]
        key = b"%x%s" % (tag, record.vr_file.encode()) + raw
        creator = context.creators.get(key)
        if creator is None:
            creator = context.creators[key] = Creator(
                raw_element(tag, record.vr_file, raw),
                creator_text(record.value) if record.vm == 1 else None,
            )
        if len(creators) >= _MAX_CREATORS:
            raise Unusual
        return {**creators, tag >> 16 << 8 | tag & 0xFF: creator}

    # Codes

    def value(
        self, place: Place, creator: Creator | None, tag: int, vr: str, vr_file: str, raw: bytes
    ) -> int:
        """The code of an element that is not a sequence."""
        headers = self.headers
        if len(headers.elements) >= self._most_elements:
            raise Unusual
        if len(raw) > self._max_value_bytes:
            value = Value(1, problem="not_read")
        else:
            value = decode(raw, vr, tag, place.chars, True, self._max_text_bytes)
        if tag & 0x10000 and is_creator(tag):
            text = creator_text(value.text)
        else:
            text = creator.text if creator is not None else None
        record = element(place.path, place.depth, tag, text, vr, vr_file, len(raw), value)
        if headers.n_characters > self._most_characters:
            raise Unusual
        if len(raw) > MAX_KEY - 12 or tag in US_OR_SS:
            return headers.code(record)
        return headers.new(record)  # bytes that their place did not know

    def sequence(
        self, place: Place, creator: Creator | None, tag: int, vr_file: str, count: int
    ) -> int:
        """The code of a sequence of `count` items."""
        text = creator.text if creator is not None else None
        key = (place, tag, text, vr_file, count)
        code = self._sequences.get(key)
        if code is None:
            value = Value(1 if count else 0, number=float(count))
            record = element(place.path, place.depth, tag, text, "SQ", vr_file, None, value)
            code = self._sequences[key] = self.headers.code(record)
        return code

    def pixel_data(
        self,
        tag: int,
        vr_file: str,
        n_bytes: int,
        is_encapsulated: bool,
        is_open: bool,
        syntax: str | None,
    ) -> int:
        """The code of pixel data.

        Args:
            tag: one of `PIXEL_DATA`.
            vr_file: its VR in the file; empty where there is none.
            n_bytes: of its value, or of its fragments.
            is_encapsulated: whether its length is undefined.
            is_open: whether no delimiter ends its fragments.
            syntax: the transfer syntax.
        """
        key = (tag, vr_file, n_bytes, is_encapsulated, is_open, syntax)
        code = self._pixels.get(key)
        if code is None:
            vr = pixel_vr(tag, vr_file, is_encapsulated)
            value = Value(1 if n_bytes else 0)
            problem = joined(
                "delimiter_missing" if is_open else None,
                encapsulation_problem(tag, syntax, is_encapsulated) if n_bytes else None,
            )
            record = element("", 0, tag, None, vr, vr_file, n_bytes, value, problem)
            code = self._pixels[key] = self.headers.code(record)
        return code

    def skipped(self, place: Place, creators: Creators, tag: int, vr: str, length: int) -> int:
        """The code of an element whose value is too long to be read."""
        if vr in ("", "UN") or length % NUMBER_SIZES.get(vr, 1):
            raise Unusual
        if tag in TURNS or (tag & 0x10000 and is_creator(tag)):
            raise Unusual
        creator = creator_of(creators, tag)
        text = creator.text if creator is not None else None
        value = Value(1, problem="not_read")
        return self.headers.code(element(place.path, place.depth, tag, text, vr, vr, length, value))
