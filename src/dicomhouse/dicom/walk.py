"""The fast reader: walks a header's bytes once and decodes each distinct element once per batch.

Headers of a series are nearly the same bytes over and over. An element's bytes are interned with
all that their meaning depends on (`context`), and consecutive elements that two files share become
a run, recognised whole (`runs`).

Only what is ordinary is read here: Part 10 files, little endian, tags in order, lengths that fit.
Everything else is left to `reference.read_header`, and both give equal elements on every file.
"""

from __future__ import annotations

import io
from typing import BinaryIO

import dicomhouse.without_decoders  # noqa: F401

# isort: split
import pydicom.uid
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from dicomhouse.dicom.bounds import Bounds
from dicomhouse.dicom.buffer import Buffer
from dicomhouse.dicom.catalogue import MAX_KEY, Catalogue
from dicomhouse.dicom.context import (
    NO_CREATORS,
    TURNS,
    Context,
    Creators,
    Head,
    More,
    Place,
    Scope,
    Unusual,
    creator_of,
)
from dicomhouse.dicom.decode import TEXT
from dicomhouse.dicom.elements import FileHeader, Headers
from dicomhouse.dicom.fragments import measure_fragments
from dicomhouse.dicom.heads import META_GROUP, META_LENGTH, looks_explicit, read_head
from dicomhouse.dicom.metered import Exceeded
from dicomhouse.dicom.parse import DEFLATED, UNDEFINED
from dicomhouse.dicom.reference import read_header
from dicomhouse.dicom.runs import Runs, Trail
from dicomhouse.dicom.sequences import SequenceReader
from dicomhouse.dicom.tree import PIXEL_DATA
from dicomhouse.dicom.vr import check_is_sequence, settled_vr
from dicomhouse.standard.tags import DIRECTORY, is_creator

_NOT_FOLLOWED = DEFLATED | {pydicom.uid.ExplicitVRBigEndian}
_MAX_SEQUENCE_KEY = 1 << 16
"""Longer sequences are walked each time."""
_MAX_IN_VAIN = 10_000
"""Elements of a file that was given up, that may stay."""
_PREAMBLE = 128
_FIRST_ELEMENT = 132
_LEAST = 144
"""Bytes up to the end of the first element."""


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
        self._catalogue = Catalogue(headers, self.bounds)
        self._runs = Runs(headers)

    def read(self, stream: BinaryIO) -> FileHeader:
        """Read one file, as `reference.read_header` does.

        Args:
            stream: the file's bytes, seekable, at its beginning; buffered or not.
        """
        n_known = len(self.headers.elements)
        self._catalogue.begin_file()
        try:
            buffer = Buffer(stream, self.first_read, self.bounds.max_header_bytes)
            header, references = _File(buffer, self._catalogue, self._runs).read()
        except Unusual:
            pass  # what was read is let go of before it is read again
        else:
            self.headers.add_references(header, references)
            self._runs.last = set(references)
            return header
        self.fallbacks += 1
        if len(self.headers.elements) - n_known > _MAX_IN_VAIN:
            self.headers.forget(n_known)
            self._catalogue.forget()
            self._runs.forget()
        return self._refer(stream)

    @property
    def n_kept(self) -> int:
        """Bytes kept to recognise elements by, about."""
        return self._catalogue.n_kept + self._runs.n_bytes

    def _refer(self, stream: BinaryIO) -> FileHeader:
        """Let the reference reader read a file."""
        stream.seek(0)
        if not isinstance(stream, io.RawIOBase):
            return read_header(stream, self.headers, self.bounds)
        buffered = io.BufferedReader(stream)
        try:
            return read_header(buffered, self.headers, self.bounds)
        finally:
            buffered.detach()


class _File:
    """The walk through one file. Positions are those in the buffer's data."""

    __slots__ = ("buffer", "catalogue", "pixel_bytes", "trail")

    def __init__(self, buffer: Buffer, catalogue: Catalogue, runs: Runs) -> None:
        self.buffer = buffer
        self.catalogue = catalogue
        self.trail = Trail(runs)
        self.pixel_bytes: int | None = None

    def read(self) -> tuple[FileHeader, list[int]]:
        """The file's header and its references."""
        buffer, catalogue, trail = self.buffer, self.catalogue, self.trail
        references, states, alone = trail.references, trail.states, trail.alone
        limit = catalogue.bounds.max_value_bytes
        self._check_beginning()
        data = buffer.data
        pos, tag, context, creators = _FIRST_ELEMENT, 0, catalogue.start, NO_CREATORS
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
            if buffer.base + pos == buffer.size:
                break
            try:
                if context.in_meta and not data.startswith(META_GROUP, pos):
                    context = self._leave_meta(context, pos)
                    states.pop()
                    continue
                tag_before = tag
                head = context.heads.get(data[pos : pos + 8]) or read_head(
                    data, pos, context.implicit, context.heads
                )
                tag, vr, size, length = head
                start = pos + size
                if tag <= tag_before or tag == DIRECTORY:
                    raise Unusual
                if tag in PIXEL_DATA:
                    # A dataset without elements is not an instance, or a guess of pydicom's.
                    if tag_before >> 16 <= 2:
                        raise Unusual
                    if not self._pass_pixels(start, head, context.place.syntax):
                        return self._finished()
                    data, pos, creators = buffer.data, 0, NO_CREATORS
                    context = self._behind_pixels(context)
                    continue
                found = None
                if length <= MAX_KEY and not tag & 0x10000:
                    end = start + length
                    key = data[pos:end]
                    found = context.known.get(key)
                    if found is None and vr in TEXT and end <= len(data):
                        raw = data[start:end]
                        found = catalogue.value(context.place, None, tag, vr, vr, raw)
                        context.known[key] = found
                        catalogue.n_key_bytes += end - pos
                if found is not None:
                    reference = found
                elif limit < length != UNDEFINED and vr != "SQ":
                    self._skip(start, head, context, creators)
                    data, pos = buffer.data, 0
                    continue
                else:
                    reference, end = self._read_element(pos, head, context, creators)
            except More as more:
                tag = states.pop()[1]
                buffer.grow(more.end)
                data = buffer.data
                continue
            alone.append(len(states) - 1)
            references.append(reference)
            pos = end
            if tag in TURNS:
                context = catalogue.context_after(context, tag, reference, data[start:end])
            elif tag & 0x10000 and is_creator(tag):
                raw = data[start:end]
                creators = catalogue.creators_after(context, creators, tag, reference, raw)
        if tag >> 16 <= 2:
            raise Unusual
        trail.learn(data)
        return self._finished()

    def _finished(self) -> tuple[FileHeader, list[int]]:
        references = self.trail.references
        most = self.catalogue.bounds.max_elements
        if self.buffer.size > 8 * most and self.catalogue.headers.count(references) > most:
            raise Unusual
        return FileHeader("ok", None, self.pixel_bytes), references

    # Beginnings

    def _check_beginning(self) -> None:
        """Walk only files with a preamble and a length of their file meta information.

        The value of the first element is converted by pydicom before it goes on.
        """
        self.buffer.grow(_LEAST)
        data = self.buffer.data
        if data[_PREAMBLE:_FIRST_ELEMENT] != b"DICM":
            raise Unusual
        if not data.startswith(META_LENGTH, _FIRST_ELEMENT):
            raise Unusual

    def _leave_meta(self, context: Context, pos: int) -> Context:
        """The context of the data set, which begins at `pos`."""
        if pos + 8 > len(self.buffer.data):
            raise More(pos + 8)
        syntax = context.place.syntax
        if syntax is None or syntax in _NOT_FOLLOWED:
            raise Unusual
        if syntax in pydicom.uid.PrivateTransferSyntaxes:
            raise Unusual
        implicit = syntax == pydicom.uid.ImplicitVRLittleEndian
        after = self.catalogue.context(Place("dataset", implicit, syntax=syntax))
        self._check_first(after, pos)
        if self.buffer.data[pos + 1]:  # of a group that no data set begins with: it may be deflated
            raise Unusual
        return after

    def _behind_pixels(self, context: Context) -> Context:
        """The context of the elements behind the pixels, the first of which is in the buffer."""
        place = context.place
        after = self.catalogue.context(Place("rest", place.implicit, place.chars, place.syntax))
        self._check_first(after, 0)
        return after

    def _check_first(self, context: Context, pos: int) -> None:
        """The transfer syntax is doubted where the first element looks like another one."""
        data = self.buffer.data
        is_first = context.place.phase == "dataset"
        if (
            not data[pos]
            or (is_first and data[pos + 1])
            or (context.implicit and looks_explicit(data, pos))
        ):
            raise Unusual

    # Elements

    def _read_element(
        self, pos: int, head: Head, context: Context, creators: Creators
    ) -> tuple[int, int]:
        """The reference of an element and where it ends."""
        data, catalogue = self.buffer.data, self.catalogue
        tag, vr_file, size, length = head
        start = pos + size
        place = context.place
        creator = creator_of(creators, tag)
        known = context.known if creator is None else creator.known
        if length == UNDEFINED:
            check_is_sequence(data, start, tag, vr_file)
            end, vr = 0, "SQ"
        else:
            end = start + length
            if end > len(data):
                raise More(end)
            if end - pos <= _MAX_SEQUENCE_KEY:
                reference = known.get(data[pos:end])
                if reference is not None:
                    return reference, end
            raw = data[start:end]
            vr = settled_vr(place, place.pixel_representation, creator, tag, vr_file, raw)
        if vr == "SQ":
            sequence = SequenceReader(catalogue, data)
            scope = Scope(context, creators, place.pixel_representation)
            end = sequence.read(scope, creator, head, start)
            reference = catalogue.headers.block(sequence.codes, sequence.item_codes)
            longest = _MAX_SEQUENCE_KEY
        else:
            reference = catalogue.value(place, creator, tag, vr, vr_file, raw)
            longest = MAX_KEY
        if end - pos <= longest:
            known[data[pos:end]] = reference
            catalogue.n_key_bytes += end - pos
        return reference, end

    def _skip(self, start: int, head: Head, context: Context, creators: Creators) -> None:
        """Add an element whose value is too long to be read, and leap behind it."""
        buffer = self.buffer
        tag, vr, _, length = head
        if length > buffer.size:
            raise Unusual
        reference = self.catalogue.skipped(context.place, creators, tag, vr, length)
        self.trail.leap(buffer.data, reference)
        buffer.leap(buffer.base + start + length)

    def _pass_pixels(self, start: int, head: Head, syntax: str | None) -> bool:
        """Add pixel data, and leap behind it. False if nothing but padding follows."""
        buffer = self.buffer
        tag, vr_file, _, length = head
        if vr_file and vr_file not in EXPLICIT_VR_LENGTH_32:
            raise Unusual
        is_encapsulated = length == UNDEFINED
        is_open = False
        if is_encapsulated:
            n_bytes, end, is_open = self._measure_fragments(buffer.base + start)
        else:
            n_bytes = length
            end = buffer.base + start + length
            if end > buffer.size:
                raise Unusual
        reference = self.catalogue.pixel_data(
            tag, vr_file, n_bytes, is_encapsulated, is_open, syntax
        )
        self.pixel_bytes = n_bytes + (self.pixel_bytes or 0)
        self.trail.leap(buffer.data, reference)
        if end == buffer.size:
            return False
        buffer.leap(end)
        return not buffer.is_padding()

    def _measure_fragments(self, position: int) -> tuple[int, int, bool]:
        """The bytes of the fragments from a position of the file on, where they end, and whether
        no delimiter ends them.
        """
        buffer = self.buffer
        most = self.catalogue.bounds.max_fragments
        try:
            found = measure_fragments(buffer.stream, position, buffer.size, "<", most)
        except Exceeded:
            raise Unusual from None
        if found.lack is not None:
            raise Unusual
        return found.n_bytes, found.end, found.is_open
