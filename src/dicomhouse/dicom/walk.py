"""The fast reader: walks a header's bytes once and decodes each distinct element once per batch.

Headers of a series are nearly the same bytes over and over. An element's bytes are interned with
all that their meaning depends on (`_Context`, the private creator), and consecutive elements that
two files share become a run, recognised whole. What has been read so far, bytes and context,
decides how the next byte is read, so a run is exact.

Only what is ordinary is read here: Part 10 files, little endian, tags in order, lengths that fit.
Everything else is left to `reference.read_header`, and both give equal elements on every file.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Collection, Mapping, Sequence
from struct import Struct, calcsize
from typing import BinaryIO, NamedTuple

import dicomhouse.without_decoders  # noqa: F401

# isort: split
import pydicom.uid
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filewriter import _AMBIGUOUS_US_SS_TAGS
from pydicom.tag import BaseTag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

from dicomhouse.dicom.bounds import Bounds
from dicomhouse.dicom.decode import DEFAULT_CHARSET, NUMBERS, TEXT, Charset, Value, charset, decode
from dicomhouse.dicom.elements import FileHeader, Headers
from dicomhouse.dicom.fragments import encapsulation_problem, measure_fragments
from dicomhouse.dicom.metered import Exceeded
from dicomhouse.dicom.parse import DEFLATED
from dicomhouse.dicom.problems import joined
from dicomhouse.dicom.reference import read_header, vr_of
from dicomhouse.dicom.tree import PIXEL_DATA, below, creator_text, element
from dicomhouse.standard.dictionary import attribute, repeating_attribute
from dicomhouse.standard.tags import is_creator

_EXPLICIT = Struct("<HH2sH").unpack_from
_IMPLICIT = Struct("<HHL").unpack_from
_LONG = Struct("<L").unpack_from
_HEADS = {
    **{vr.encode(): (str(vr), 8) for vr in EXPLICIT_VR_LENGTH_16},
    **{vr.encode(): (str(vr), 12) for vr in EXPLICIT_VR_LENGTH_32},
}
"""By the bytes of a VR, its name and how long an element's head is with it."""
_NUMBER_SIZES = {vr: calcsize("=" + code) for vr, code in NUMBERS.items()}
_UNDEFINED = 0xFFFFFFFF

_ITEM = b"\xfe\xff\x00\xe0"
_ITEM_END = b"\xfe\xff\x0d\xe0\0\0\0\0"
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
_META_GROUP = b"\x02\x00"
_META_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"

_TRANSFER_SYNTAX = 0x00020010
_DIRECTORY = 0x00041220
_CHARSET = 0x00080005
_PIXEL_REPRESENTATION = 0x00280103
_TURNS = frozenset({_TRANSFER_SYNTAX, _CHARSET, _PIXEL_REPRESENTATION})
"""After these the same bytes may mean something else."""

_NOT_FOLLOWED = DEFLATED | {pydicom.uid.ExplicitVRBigEndian}
_MAX_DEPTH = 32
_MAX_KEY = 4096
"""Longer elements are decoded each time: their bytes would fill the memory."""
_MAX_BLOCK_KEY = 1 << 16
_MAX_HEADS = 1 << 16
_MAX_RUN = 1 << 15
_MAX_LEARNED = 16 << 20
_MAX_CREATORS = 256
_MAX_IN_VAIN = 10_000
"""Elements of a file that was given up, that may stay."""
_RUNS_PER_PLACE = 6


class _Unusual(Exception):
    """The reference reader has to decide."""


class _More(Exception):
    """The buffer must reach up to here."""

    def __init__(self, end: int) -> None:
        self.end = end


class _Place(NamedTuple):
    """What the meaning of an element's bytes depends on, apart from its private creator."""

    phase: str
    """`meta`, `dataset`, `rest` (behind the pixels) or `item`."""
    implicit: bool = False
    chars: Charset = DEFAULT_CHARSET
    syntax: str | None = None
    pixel_representation: int | None = None
    path: str = ""
    depth: int = 0


class _Creator:
    """A private creator's element, and the elements known of its block.

    Its bytes are kept beside its text, since pydicom's own lookup depends on them.
    """

    __slots__ = ("known", "raw", "text")

    def __init__(self, raw: RawDataElement, text: str | None) -> None:
        self.raw = raw
        self.text = text
        self.known: dict[bytes, int] = {}


_Creators = Mapping[int, _Creator]
"""By `tag >> 8` of the elements of their blocks. Runs hold on to them: never changed in place."""

_NO_CREATORS: _Creators = {}


class _Context:
    """A place and what is known there: references at top level, codes within items."""

    __slots__ = ("creators", "implicit", "in_meta", "known", "place", "runs")

    def __init__(self, place: _Place) -> None:
        self.place = place
        self.implicit = place.implicit
        self.in_meta = place.phase == "meta"
        self.known: dict[bytes, int] = {}
        self.creators: dict[bytes, _Creator] = {}
        self.runs: dict[int, list[_Run]] = {}
        """By the tag before."""


_Head = tuple[int, str, int, int]
"""Tag, VR (empty when implicit), length of the head, length of the value."""

_State = tuple[int, int, _Context, _Creators]
"""Between two elements of a file's own dataset: the position, the tag of the element before, the
context and the creators in force."""


_Run = tuple[bytes, int, _State]
"""The bytes of consecutive elements seen before, their reference, and the state they lead to, whose
position is the run's length."""


class Walker:
    """Reads the files of one batch into `headers`.

    Args:
        headers: takes the elements of each file.
        bounds: what a file may cost.
        first_read: bytes that are read before it is known how long the header is.
    """

    def __init__(
        self, headers: Headers, bounds: Bounds | None = None, first_read: int = 8192
    ) -> None:
        self.headers = headers
        self.bounds = bounds or Bounds()
        self.first_read = max(first_read, 1)
        self.fallbacks = 0
        """Files that the reference reader read."""
        self._max_depth = min(self.bounds.max_depth, _MAX_DEPTH)
        self._most_elements = self._most_characters = 0
        self._heads: tuple[dict[bytes, _Head], dict[bytes, _Head]] = ({}, {})
        """By its 8 bytes where those are all, explicit and implicit."""
        self._forget()

    def _forget(self) -> None:
        self._contexts: dict[_Place, _Context] = {}
        self._start = self._context(_Place("meta"))
        self._sequences: dict[tuple[_Place, int, str | None, str, int], int] = {}
        self._pixels: dict[tuple[int, str, int, bool, bool, str | None], int] = {}
        self._last: set[int] = set()
        self._kept = 0
        self._learned = 0

    def read(self, stream: BinaryIO) -> FileHeader:
        """Read one file, as `reference.read_header` does.

        Args:
            stream: the file's bytes, seekable, at its beginning; buffered or not.
        """
        known = len(self.headers.elements)
        self._most_elements = known + self.bounds.max_distinct
        self._most_characters = self.headers.n_characters + 2 * self.bounds.max_header_bytes
        try:
            header, references = _File(self, stream).read()
        except _Unusual:
            pass  # what was read is let go of before it is read again
        else:
            self.headers.add_references(header, references)
            self._last = set(references)
            return header
        self.fallbacks += 1
        if len(self.headers.elements) - known > _MAX_IN_VAIN:
            self.headers.forget(known)
            self._forget()
        return self._refer(stream)

    @property
    def n_kept(self) -> int:
        """Bytes kept to recognise elements by, about."""
        return self._kept + self._learned + 1000 * len(self._contexts)

    def _refer(self, stream: BinaryIO) -> FileHeader:
        stream.seek(0)
        if not isinstance(stream, io.RawIOBase):
            return read_header(stream, self.headers, self.bounds)
        buffered = io.BufferedReader(stream)
        try:
            return read_header(buffered, self.headers, self.bounds)
        finally:
            buffered.detach()

    def _context(self, place: _Place) -> _Context:
        context = self._contexts.get(place)
        if context is None:
            context = self._contexts[place] = _Context(place)
        return context

    def _learn(
        self,
        data: bytes,
        states: Sequence[_State],
        references: Sequence[int],
        alone: Collection[int],
    ) -> None:
        """Make runs of the steps that the file before had too.

        Args:
            data: what the positions of the states refer to.
            states: before each step, and after the last one.
            references: one less, what each step gave.
            alone: the steps that were no run.
        """
        start = 0
        last = self._last
        for i, reference in enumerate((*references, None)):
            if reference in last:
                continue
            if start == i:
                start = i + 1
                continue
            if i - start > 1 or start in alone:
                # Within a private block the meaning depends on elements before the run.
                while start < i and _within_block(data, states[start]):
                    start += 1
                if i - start > 1 or (i > start and start in alone):
                    self._learn_run(data, states[start], states[i], references[start:i])
            start = i + 1

    def _learn_run(
        self, data: bytes, before: _State, after: _State, references: Sequence[int]
    ) -> None:
        begin, tag, context, _ = before
        end, tag_after, context_after, creators = after
        size = end - begin
        if size > _MAX_RUN or self._learned > _MAX_LEARNED:
            return
        self._learned += size
        reference = references[0] if len(references) == 1 else self.headers.joined(references)
        runs = context.runs.setdefault(tag, [])
        runs.insert(0, (data[begin:end], reference, (size, tag_after, context_after, creators)))
        del runs[_RUNS_PER_PLACE:]


def _within_block(data: bytes, state: _State) -> bool:
    pos, tag, _, _ = state
    return bool(tag & 0x10000) and tag >> 16 == int.from_bytes(data[pos : pos + 2], "little")


class _File:
    """The walk through one file. Positions are those in `data`, which begins at `base`."""

    __slots__ = ("base", "data", "has_nested_representation", "size", "stream", "walker")

    def __init__(self, walker: Walker, stream: BinaryIO) -> None:
        self.walker = walker
        self.stream = stream
        self.size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        self.base = 0
        self.data = stream.read(walker.first_read)

    def read(self) -> tuple[FileHeader, list[int]]:
        """The file's header and its references."""
        walker = self.walker
        self._need(144)
        data = self.data
        # The first element's value is converted by pydicom before it goes on.
        if data[128:132] != b"DICM" or not data.startswith(_META_LENGTH, 132):
            raise _Unusual
        pos, tag, context, creators = 132, 0, walker._start, _NO_CREATORS
        references: list[int] = []
        states: list[_State] = []
        learned = 0
        """References before the states."""
        alone: list[int] = []
        pixel_bytes: int | None = None
        limit = walker.bounds.max_value_bytes
        heads = walker._heads
        while True:
            states.append((pos, tag, context, creators))
            runs = context.runs.get(tag)
            if runs is not None:
                for run, reference, after in runs:
                    if data.startswith(run, pos):
                        references.append(reference)
                        length, tag, context, creators = after
                        pos += length
                        break
                else:
                    runs = None
                if runs is not None:
                    continue
            if self.base + pos == self.size:
                break
            try:
                if context.in_meta and not data.startswith(_META_GROUP, pos):
                    context = self._leave_meta(context, pos)
                    states.pop()
                    continue
                tag_before = tag
                tag, vr, size, length = heads[context.implicit].get(
                    data[pos : pos + 8]
                ) or self._head(pos, context.implicit)
                start = pos + size
                if tag <= tag_before or tag == _DIRECTORY:
                    raise _Unusual
                if tag in PIXEL_DATA:
                    # A dataset without elements is no instance, or a guess of pydicom's.
                    if tag_before >> 16 <= 2:
                        raise _Unusual
                    reference, n_bytes, end = self._pixel_data(
                        tag, vr, start, length, context.place.syntax
                    )
                    pixel_bytes = n_bytes + (pixel_bytes or 0)
                    walker._learn(data, states, references[learned:], alone)
                    references.append(reference)
                    if end == self.size:
                        return self._finished(references, pixel_bytes)
                    learned = len(references)
                    states.clear()
                    alone.clear()
                    self._jump(end)
                    if self._is_padding():
                        return self._finished(references, pixel_bytes)
                    data, pos, creators = self.data, 0, _NO_CREATORS
                    place = context.place
                    context = walker._context(
                        _Place("rest", place.implicit, place.chars, place.syntax)
                    )
                    self._check_first(context, pos)
                    continue
                found = None
                if length <= _MAX_KEY and not tag & 0x10000:
                    end = start + length
                    key = data[pos:end]
                    found = context.known.get(key)
                    if found is None and vr in TEXT and end <= len(data):
                        raw = data[start:end]
                        found = self._code(context.place, None, tag, vr, vr, raw)
                        context.known[key] = found
                        walker._kept += end - pos
                if found is not None:
                    reference = found
                elif limit < length != _UNDEFINED and vr != "SQ":
                    reference = self._not_read(context, creators, tag, vr, length)
                    walker._learn(data, states, references[learned:], alone)
                    references.append(reference)
                    learned = len(references)
                    states.clear()
                    alone.clear()
                    self._jump(self.base + start + length)
                    data, pos = self.data, 0
                    continue
                else:
                    reference, end = self._element(pos, context, creators, tag, vr, start, length)
            except _More as more:
                tag = states.pop()[1]
                self._need(more.end)
                data = self.data
                continue
            alone.append(len(states) - 1)
            references.append(reference)
            pos = end
            if tag in _TURNS:
                context = self._turn(context, tag, reference, data[start:end])
            elif tag & 0x10000 and is_creator(tag):
                creators = self._with_creator(context, creators, tag, reference, start, end)
        if tag >> 16 <= 2:
            raise _Unusual
        walker._learn(data, states, references[learned:], alone)
        return self._finished(references, pixel_bytes)

    def _finished(
        self, references: list[int], pixel_bytes: int | None
    ) -> tuple[FileHeader, list[int]]:
        most = self.walker.bounds.max_elements
        if self.size > 8 * most and self.walker.headers.count(references) > most:
            raise _Unusual
        return FileHeader("ok", None, pixel_bytes), references

    # The buffer

    def _need(self, end: int) -> None:
        """Read on until `data` reaches `end`, and further, so that this is rare."""
        missing = end - len(self.data)
        if missing <= 0:
            return
        most = self.walker.bounds.max_header_bytes
        if self.base + end > self.size or end > most:
            raise _Unusual
        pieces = [self.data]
        wanted = max(missing, min(len(self.data), most - len(self.data)))
        while wanted > 0 and (piece := self.stream.read(wanted)):
            pieces.append(piece)
            wanted -= len(piece)
        self.data = b"".join(pieces)
        if len(self.data) < end:
            raise _Unusual

    def _jump(self, position: int) -> None:
        """Go on reading at a position of the file."""
        if position > self.size:
            raise _Unusual
        self.stream.seek(position)
        self.base = position
        self.data = self.stream.read(self.walker.first_read)
        self._need(min(8, self.size - position))

    def _is_padding(self) -> bool:
        """Whether all that follows the pixels are zeros, up to a block of storage."""
        data = self.data
        return self.base + len(data) == self.size and not data.strip(b"\0")

    # Elements

    def _head(self, pos: int, implicit: bool) -> _Head:
        """What stands before the value of the element at `pos`."""
        data = self.data
        known = self.walker._heads[implicit]
        head = known.get(data[pos : pos + 8])
        if head is not None:
            return head
        if pos + 8 > len(data):
            raise _More(pos + 8)
        if implicit:
            group, number, length = _IMPLICIT(data, pos)
            vr, size = "", 8
        else:
            group, number, in_file, length = _EXPLICIT(data, pos)
            vr, size = _HEADS.get(in_file, ("", 0))
            if not vr:
                raise _Unusual
        if group >= 0xFFFE:
            raise _Unusual
        tag = group << 16 | number
        if size == 8:
            head = (tag, vr, 8, length)
            if len(known) < _MAX_HEADS:
                known[data[pos : pos + 8]] = head
            return head
        if pos + 12 > len(data):
            raise _More(pos + 12)
        (length,) = _LONG(data, pos + 8)
        return tag, vr, 12, length

    def _element(
        self,
        pos: int,
        context: _Context,
        creators: _Creators,
        tag: int,
        vr_file: str,
        start: int,
        length: int,
    ) -> tuple[int, int]:
        """The reference of a top-level element and where it ends."""
        data = self.data
        creator = creators.get(tag >> 8) if tag & 0x10000 and tag & 0xF000 else None
        known = context.known if creator is None else creator.known
        if length == _UNDEFINED:
            end = 0
            vr = self._undefined_vr(tag, vr_file, start)
        else:
            end = start + length
            if end > len(data):
                raise _More(end)
            if end - pos <= _MAX_BLOCK_KEY:
                reference = known.get(data[pos:end])
                if reference is not None:
                    return reference, end
            vr = self._vr(context.place, creator, tag, vr_file, data[start:end])
        if vr == "SQ":
            codes: list[int] = []
            items: list[int] = []
            self.has_nested_representation = False
            end = self._sequence(
                context.place, creator, tag, vr_file, start, length, "", codes, items, None
            )
            reference = self.walker.headers.block(codes, items)
            if end - pos <= _MAX_BLOCK_KEY:
                known[data[pos:end]] = reference
                self.walker._kept += end - pos
            return reference, end
        code = self._code(context.place, creator, tag, vr, vr_file, data[start:end])
        if end - pos <= _MAX_KEY:
            known[data[pos:end]] = code
            self.walker._kept += end - pos
        return code, end

    def _code(
        self, place: _Place, creator: _Creator | None, tag: int, vr: str, vr_file: str, raw: bytes
    ) -> int:
        walker = self.walker
        headers = walker.headers
        if len(headers.elements) >= walker._most_elements:
            raise _Unusual
        if len(raw) > walker.bounds.max_value_bytes:
            value = Value(1, problem="not_read")
        else:
            value = decode(raw, vr, tag, place.chars, True, walker.bounds.max_text_bytes)
        if tag & 0x10000 and is_creator(tag):
            text = creator_text(value.text)
        else:
            text = creator.text if creator is not None else None
        record = element(place.path, place.depth, tag, text, vr, vr_file, len(raw), value)
        if headers.n_characters > walker._most_characters:
            raise _Unusual
        if len(raw) > _MAX_KEY - 12 or tag in _AMBIGUOUS_US_SS_TAGS:
            return headers.code(record)
        return headers.new(record)  # bytes that their place did not know

    def _not_read(
        self, context: _Context, creators: _Creators, tag: int, vr: str, length: int
    ) -> int:
        """The reference of an element whose value is too long to be read."""
        if length > self.size or vr in ("", "UN") or length % _NUMBER_SIZES.get(vr, 1):
            raise _Unusual
        if tag in _TURNS or (tag & 0x10000 and is_creator(tag)):
            raise _Unusual
        creator = creators.get(tag >> 8) if tag & 0x10000 and tag & 0xF000 else None
        place = context.place
        text = creator.text if creator is not None else None
        value = Value(1, problem="not_read")
        record = element(place.path, place.depth, tag, text, vr, vr, length, value)
        return self.walker.headers.code(record)

    def _with_creator(
        self,
        context: _Context,
        creators: _Creators,
        tag: int,
        code: int,
        start: int,
        end: int,
    ) -> _Creators:
        """The creators in force after the creator element `tag`."""
        record = self.walker.headers.elements[code]
        raw = self.data[start:end]
        key = b"%x%s" % (tag, record.vr_file.encode()) + raw
        creator = context.creators.get(key)
        if creator is None:
            creator = context.creators[key] = _Creator(
                _raw(tag, record.vr_file, raw),
                creator_text(record.value) if record.vm == 1 else None,
            )
        if len(creators) >= _MAX_CREATORS:
            raise _Unusual
        return {**creators, tag >> 16 << 8 | tag & 0xFF: creator}

    def _turn(self, context: _Context, tag: int, code: int, raw: bytes) -> _Context:
        """The context after an element that changes it."""
        if code < 0:
            raise _Unusual
        record = self.walker.headers.elements[code]
        place = context.place
        if tag == _TRANSFER_SYNTAX:
            if record.vr != "UI" or record.problem or record.vm != 1:
                raise _Unusual
            place = place._replace(syntax=record.value)
        elif tag == _CHARSET:
            place = place._replace(chars=charset(record.value or ""))
        else:
            place = place._replace(pixel_representation=self._representation(code, raw))
        return self.walker._context(place)

    def _representation(self, code: int, raw: bytes) -> int:
        if self.walker.headers.elements[code].vr != "US" or raw not in (b"\0\0", b"\1\0"):
            raise _Unusual
        return raw[0]

    def _leave_meta(self, context: _Context, pos: int) -> _Context:
        if pos + 8 > len(self.data):
            raise _More(pos + 8)
        syntax = context.place.syntax
        if syntax is None or syntax in _NOT_FOLLOWED:
            raise _Unusual
        if syntax in pydicom.uid.PrivateTransferSyntaxes:
            raise _Unusual
        implicit = syntax == pydicom.uid.ImplicitVRLittleEndian
        after = self.walker._context(_Place("dataset", implicit, syntax=syntax))
        self._check_first(after, pos)
        return after

    def _check_first(self, context: _Context, pos: int) -> None:
        """The transfer syntax is doubted where the first element looks like another one."""
        data = self.data
        if not data[pos] or (context.implicit and _looks_explicit(data, pos)):
            raise _Unusual

    # Value representations

    def _undefined_vr(self, tag: int, vr_file: str, start: int) -> str:
        """Only sequences of undefined length are followed."""
        if tag & 0x10000 and not tag & 0xFF00:
            raise _Unusual
        if vr_file:
            if vr_file == "SQ":
                return "SQ"
            raise _Unusual
        if start + 4 > len(self.data):
            raise _More(start + 4)
        entry = attribute(tag) or repeating_attribute(tag)
        if entry.vr == "SQ" if entry else self.data.startswith(_ITEM, start):
            return "SQ"
        raise _Unusual

    def _vr(
        self, place: _Place, creator: _Creator | None, tag: int, vr_file: str, raw: bytes
    ) -> str:
        """The VR that pydicom gives an element of defined length."""
        if tag & 0x10000 and not _begins_group_plainly(tag, vr_file, raw):
            raise _Unusual
        if vr_file and vr_file != "UN":
            size = _NUMBER_SIZES.get(vr_file)
            if size is None or not len(raw) % size:
                return vr_file
            return _pydicom_vr(place.implicit, _raw(tag, vr_file, raw))
        own = _raw(tag, vr_file, raw)
        if tag & 0x10000:
            return self._private_vr(place, creator, own)
        entry = attribute(tag) or repeating_attribute(tag)
        if entry is None or (vr_file and len(raw) >= 0xFFFF):
            return _pydicom_vr(place.implicit, own)
        if tag in _AMBIGUOUS_US_SS_TAGS:
            return self._ambiguous_vr(place, tag, raw)
        if entry.vr in ("OB or OW", "US or OW") and (vr_file or entry.vr == "US or OW"):
            raise _Unusual  # depends on other elements
        size = _NUMBER_SIZES.get(entry.vr)
        if " or " in entry.vr or (size is not None and len(raw) % size):
            return _pydicom_vr(place.implicit, own)
        return entry.vr

    def _private_vr(self, place: _Place, creator: _Creator | None, own: RawDataElement) -> str:
        number = own.tag & 0xFFFF
        if 0x100 <= number < 0x1000:
            raise _Unusual  # pydicom sees a creator where the standard has none
        if creator is None:
            return _pydicom_vr(place.implicit, own)
        text = creator.raw.value
        if text and not (text.isascii() and text.rstrip(b" \0").decode().isprintable()):
            raise _Unusual
        return _pydicom_vr(place.implicit, own, creator.raw)

    def _ambiguous_vr(self, place: _Place, tag: int, raw: bytes) -> str:
        """US or SS, as PixelRepresentation says. Elements of items come with their own."""
        if len(raw) % 2 or tag < _PIXEL_REPRESENTATION or place.phase == "rest":
            raise _Unusual
        representation = place.pixel_representation
        if representation is None:
            if place.phase == "item":
                raise _Unusual
            representation = 0
        return "SS" if representation else "US"

    # Sequences

    def _sequence(
        self,
        place: _Place,
        creator: _Creator | None,
        tag: int,
        vr_file: str,
        pos: int,
        length: int,
        item: str,
        codes: list[int],
        items: list[int],
        representation: int | None,
    ) -> int:
        """Add a sequence whose value begins at `pos`, with all below it. Returns where it ends.

        Args:
            place: where the sequence stands, in the item `item`.
            representation: the PixelRepresentation that holds there for certain, if it stands
                in an item; at top level `place` has it.
        """
        data = self.data
        text = creator.text if creator is not None else None
        if place.depth >= self.walker._max_depth:
            raise _Unusual
        end = None
        if length != _UNDEFINED:
            end = pos + length
            if end > len(data):
                raise _More(end)
        # pydicom hands it down from sequences that it converts, those of defined length.
        if end is None or tag < _PIXEL_REPRESENTATION:
            representation = None
        elif place.phase != "item":
            representation = place.pixel_representation
        inner = _Place(
            "item",
            place.implicit,
            place.chars,
            None,
            representation,
            below(place.path, tag, text),
            place.depth + 1,
        )
        at = len(codes)
        codes.append(-1)
        items.append(self.walker.headers.item_code(item))
        count = 0
        while pos != end:
            if pos + 8 > len(data):
                raise _More(pos + 8)
            if end is None and data.startswith(_SEQUENCE_END, pos):
                pos += 8
                break
            if not data.startswith(_ITEM, pos):
                raise _Unusual
            (size,) = _LONG(data, pos + 4)
            pos += 8
            stop = None if size == _UNDEFINED else pos + size
            if end is not None and (pos if stop is None else stop) > end:
                raise _Unusual
            number = f"{item}.{count}" if item else str(count)
            if stop is None or stop > pos:
                pos = self._item(inner, pos, stop, number, codes, items)
            count += 1
            if end is not None and pos > end:
                raise _Unusual
        key = (place, tag, text, vr_file, count)
        code = self.walker._sequences.get(key)
        if code is None:
            value = Value(1 if count else 0, number=float(count))
            record = element(place.path, place.depth, tag, text, "SQ", vr_file, None, value)
            code = self.walker._sequences[key] = self.walker.headers.code(record)
        codes[at] = code
        return pos

    def _item(
        self,
        place: _Place,
        pos: int,
        end: int | None,
        item: str,
        codes: list[int],
        items: list[int],
    ) -> int:
        """Add the elements of an item. Returns where it ends."""
        data = self.data
        if pos + 8 > len(data) or (end is not None and end > len(data)):
            raise _More(max(pos + 8, end or 0))
        if not place.implicit and not _looks_explicit(data, pos):
            place = place._replace(implicit=True)
        walker = self.walker
        context = walker._context(place)
        representation = None if self.has_nested_representation else place.pixel_representation
        creators = _NO_CREATORS
        item_code = walker.headers.item_code(item)
        limit = walker.bounds.max_elements
        tag = -1
        while pos != end:
            if pos + 8 > len(data):
                raise _More(pos + 8)
            if end is None and data.startswith(_ITEM_END, pos):
                return pos + 8
            tag_before = tag
            tag, vr_file, head, length = self._head(pos, context.implicit)
            start = pos + head
            if tag <= tag_before or len(codes) > limit:
                raise _Unusual
            creator = creators.get(tag >> 8) if tag & 0x10000 and tag & 0xF000 else None
            known = context.known if creator is None else creator.known
            code = None
            if length == _UNDEFINED:
                stop = 0
                vr = self._undefined_vr(tag, vr_file, start)
            else:
                stop = start + length
                if end is not None and stop > end:
                    raise _Unusual
                if stop > len(data):
                    raise _More(stop)
                if length <= _MAX_KEY:
                    code = known.get(data[pos:stop])
                if code is None:
                    here = context.place._replace(pixel_representation=representation)
                    vr = self._vr(here, creator, tag, vr_file, data[start:stop])
            if code is None:
                if vr == "SQ":
                    pos = self._sequence(
                        context.place, creator, tag, vr_file, start, length, item, codes, items,
                        representation,
                    )  # fmt: skip
                    continue
                raw = data[start:stop]
                code = self._code(context.place, creator, tag, vr, vr_file, raw)
                if length <= _MAX_KEY and tag not in _AMBIGUOUS_US_SS_TAGS:
                    known[data[pos:stop]] = code
                    walker._kept += stop - pos
            codes.append(code)
            items.append(item_code)
            if tag == _CHARSET:
                chars = charset(walker.headers.elements[code].value or "")
                context = walker._context(context.place._replace(chars=chars))
            elif tag == _PIXEL_REPRESENTATION:
                representation = self._representation(code, data[start:stop])
                self.has_nested_representation = True
            elif tag & 0x10000 and is_creator(tag):
                creators = self._with_creator(context, creators, tag, code, start, stop)
            pos = stop
        return pos

    # Pixels

    def _pixel_data(
        self, tag: int, vr_file: str, start: int, length: int, syntax: str | None
    ) -> tuple[int, int, int]:
        """The reference of the pixel data, its bytes, and where it ends in the file."""
        if vr_file and vr_file not in EXPLICIT_VR_LENGTH_32:
            raise _Unusual
        is_open = False
        if length == _UNDEFINED:
            most = self.walker.bounds.max_fragments
            try:
                found = measure_fragments(self.stream, self.base + start, self.size, "<", most)
            except Exceeded:
                raise _Unusual from None
            if found.lack is not None:
                raise _Unusual
            n_bytes, end, is_open = found.n_bytes, found.end, found.is_open
        else:
            n_bytes = length
            end = self.base + start + length
            if end > self.size:
                raise _Unusual
        is_undefined = length == _UNDEFINED
        key = (tag, vr_file, n_bytes, is_undefined, is_open, syntax)
        code = self.walker._pixels.get(key)
        if code is None:
            native = {0x08: "OF", 0x09: "OD", 0x10: "OW"}[tag & 0xFFFF]
            vr = vr_file or ("OB" if is_undefined else native)
            value = Value(1 if n_bytes else 0)
            problem = joined(
                "delimiter_missing" if is_open else None,
                encapsulation_problem(tag, syntax, is_undefined) if n_bytes else None,
            )
            record = element("", 0, tag, None, vr, vr_file, n_bytes, value, problem)
            code = self.walker._pixels[key] = self.walker.headers.code(record)
        return code, n_bytes, end


def _begins_group_plainly(tag: int, vr_file: str, raw: bytes) -> bool:
    """False for a private group length or creator that pydicom might not convert.

    Converting any element of the group converts these too, and fails with them.
    """
    if tag & 0xFF00:
        return True
    if is_creator(tag):
        return vr_file in ("", "LO", "SH", "UN")
    return not tag & 0xFFFF and vr_file in ("", "UL") and len(raw) == 4


def _looks_explicit(data: bytes, pos: int) -> bool:
    """pydicom's test: capital letters where a VR would stand."""
    vr = data[pos + 4 : pos + 6]
    return len(vr) == 2 and 0x40 < vr[0] < 0x5B and 0x40 < vr[1] < 0x5B


def _raw(tag: int, vr_file: str, value: bytes) -> RawDataElement:
    return RawDataElement(
        BaseTag(tag), vr_file or None, len(value), value, 0, not vr_file, True, True
    )


def _pydicom_vr(implicit: bool, own: RawDataElement, *others: RawDataElement) -> str:
    """The VR that pydicom gives an element, asked from pydicom itself."""
    dataset = Dataset({raw.tag: raw for raw in (*others, own)})
    dataset.set_original_encoding(implicit, True, "iso8859")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return vr_of(dataset, own)
