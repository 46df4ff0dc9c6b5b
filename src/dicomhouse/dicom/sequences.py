"""Walks a sequence with its items and all below them, for the fast reader."""

from __future__ import annotations

from dicomhouse.dicom.catalogue import MAX_KEY, Catalogue
from dicomhouse.dicom.context import (
    NO_CREATORS,
    TURNS,
    Creator,
    Head,
    More,
    Place,
    Scope,
    Unusual,
    creator_of,
)
from dicomhouse.dicom.decode import charset
from dicomhouse.dicom.heads import (
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    looks_explicit,
    read_head,
    unpack_long,
)
from dicomhouse.dicom.parse import UNDEFINED
from dicomhouse.dicom.tree import below
from dicomhouse.dicom.vr import US_OR_SS, check_is_sequence, settled_vr
from dicomhouse.standard.tags import CHARACTER_SET, PIXEL_REPRESENTATION, is_creator


class SequenceReader:
    """Reads one sequence at top level, whose bytes are in `data`.

    After `read`, `codes` and `item_codes` are those of the sequence and of all below it.
    """

    __slots__ = ("_catalogue", "_data", "_has_own_representation", "codes", "item_codes")

    def __init__(self, catalogue: Catalogue, data: bytes) -> None:
        self.codes: list[int] = []
        self.item_codes: list[int] = []
        self._catalogue = catalogue
        self._data = data
        self._has_own_representation = False
        """Whether an item so far had a PixelRepresentation."""

    def read(self, scope: Scope, creator: Creator | None, head: Head, pos: int) -> int:
        """Add the sequence whose value begins at `pos`, with all below it. Returns where it ends.

        Args:
            scope: the data set that it stands in.
            creator: of its private block.
            head: its head.
            pos: a position in the data.
        """
        tag, vr_file, _, length = head
        place = scope.context.place
        if place.depth >= self._catalogue.max_depth:
            raise Unusual
        end = None
        if length != UNDEFINED:
            end = pos + length
            if end > len(self._data):
                raise More(end)
        # pydicom hands it down from sequences that it converts, those of defined length.
        is_handed_down = end is not None and tag >= PIXEL_REPRESENTATION
        inner = Place(
            "item",
            place.implicit,
            place.chars,
            None,
            scope.representation if is_handed_down else None,
            below(place.path, tag, creator.text if creator is not None else None),
            place.depth + 1,
        )
        at = len(self.codes)
        self.codes.append(-1)
        self.item_codes.append(scope.item_code)
        pos, count = self._read_items(inner, pos, end, scope.item)
        self.codes[at] = self._catalogue.sequence(place, creator, tag, vr_file, count)
        return pos

    def _read_items(self, place: Place, pos: int, end: int | None, above: str) -> tuple[int, int]:
        """Add the items of a sequence. Returns where it ends, and how many they are.

        Args:
            place: of their elements.
            pos: where the first one begins.
            end: where the sequence ends; None if a delimiter says so.
            above: the item numbers of the data set that the sequence stands in.
        """
        data = self._data
        count = 0
        while pos != end:
            if pos + 8 > len(data):
                raise More(pos + 8)
            if end is None and data.startswith(SEQUENCE_END, pos):
                return pos + 8, count
            if not data.startswith(ITEM, pos):
                raise Unusual
            (size,) = unpack_long(data, pos + 4)
            pos += 8
            stop = None if size == UNDEFINED else pos + size
            if end is not None and (pos if stop is None else stop) > end:
                raise Unusual
            if stop is None or stop > pos:
                pos = self._read_item(place, pos, stop, f"{above}.{count}" if above else str(count))
            count += 1
            if end is not None and pos > end:
                raise Unusual
        return pos, count

    def _read_item(self, place: Place, pos: int, end: int | None, item: str) -> int:
        """Add the elements of the item `item`, which begin at `pos`. Returns where it ends."""
        data = self._data
        if pos + 8 > len(data) or (end is not None and end > len(data)):
            raise More(max(pos + 8, end or 0))
        if not place.implicit and not looks_explicit(data, pos):
            place = place._replace(implicit=True)
        catalogue, codes, item_codes = self._catalogue, self.codes, self.item_codes
        context, creators = catalogue.context(place), NO_CREATORS
        representation = None if self._has_own_representation else place.pixel_representation
        item_code = catalogue.headers.item_code(item)
        scope = Scope(context, creators, representation, item, item_code)
        limit = catalogue.bounds.max_elements
        tag = -1
        while pos != end:
            if pos + 8 > len(data):
                raise More(pos + 8)
            if end is None and data.startswith(ITEM_END, pos):
                return pos + 8
            tag_before = tag
            head = context.heads.get(data[pos : pos + 8]) or read_head(
                data, pos, context.implicit, context.heads
            )
            tag, vr_file, size, length = head
            start = pos + size
            if tag <= tag_before or len(codes) > limit:
                raise Unusual
            creator = creator_of(creators, tag) if creators else None
            known = context.known if creator is None else creator.known
            code = None
            if length == UNDEFINED:
                check_is_sequence(data, start, tag, vr_file)
                vr = "SQ"
                stop = 0
            else:
                stop = start + length
                if end is not None and stop > end:
                    raise Unusual
                if stop > len(data):
                    raise More(stop)
                if length <= MAX_KEY:
                    code = known.get(data[pos:stop])
                if code is None:
                    raw = data[start:stop]
                    vr = settled_vr(context.place, scope.representation, creator, tag, vr_file, raw)
            if code is None:
                if vr == "SQ":
                    pos = self.read(scope, creator, head, start)
                    continue
                code = catalogue.value(context.place, creator, tag, vr, vr_file, raw)
                if length <= MAX_KEY and tag not in US_OR_SS:
                    known[data[pos:stop]] = code
                    catalogue.n_key_bytes += stop - pos
            codes.append(code)
            item_codes.append(item_code)
            if tag in TURNS or (tag & 0x10000 and is_creator(tag)):
                self._turn(scope, tag, code, data[start:stop])
                context, creators = scope.context, scope.creators
            pos = stop
        return pos

    def _turn(self, scope: Scope, tag: int, code: int, raw: bytes) -> None:
        """Change the scope of an item as one of its elements says."""
        catalogue = self._catalogue
        if tag == CHARACTER_SET:
            chars = charset(catalogue.headers.elements[code].value or "")
            scope.context = catalogue.context(scope.context.place._replace(chars=chars))
        elif tag == PIXEL_REPRESENTATION:
            scope.representation = catalogue.representation(code, raw)
            self._has_own_representation = True
        elif tag & 0x10000:
            scope.creators = catalogue.creators_after(scope.context, scope.creators, tag, code, raw)
