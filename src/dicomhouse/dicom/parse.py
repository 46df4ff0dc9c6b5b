"""A file's bytes as elements, in its order: pydicom splits them, nothing is left out.

pydicom keeps one element of a tag in a data set, the last; here every occurrence stays. What the
bytes are is read from them: a declaration that they contradict is told, not followed. Bytes that
belong to no element are padding, or set one of the flags of `Parser`.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import BinaryIO, Literal, NamedTuple, cast

import dicomhouse.without_decoders  # noqa: F401

# isort: split
import pydicom.uid
from pydicom._uid_dict import UID_dictionary
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import ENCODED_VR, data_element_generator
from pydicom.fileutil import read_undefined_length_value
from pydicom.tag import BaseTag, SequenceDelimiterTag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from dicomhouse.dicom.bounds import Bounds
from dicomhouse.dicom.decode import TEXT
from dicomhouse.dicom.fragments import CUT, measure_fragments
from dicomhouse.dicom.metered import Exceeded, Metered
from dicomhouse.dicom.problems import joined
from dicomhouse.dicom.tree import PIXEL_DATA
from dicomhouse.standard.dictionary import attribute, repeating_attribute
from dicomhouse.standard.tags import CHARACTER_SET, DIRECTORY, TRANSFER_SYNTAX

DEFLATED = frozenset(
    {"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"}
)
"""Transfer syntaxes whose whole dataset is deflated (PS3.5 A.5, A.6)."""

UNDEFINED = 0xFFFFFFFF
_LONG_VRS = frozenset(EXPLICIT_VR_LENGTH_32)
_META_LENGTH = 0x00020000
_ITEM, _SEQUENCE_END, _ITEM_END = 0xFFFEE000, 0xFFFEE0DD, 0xFFFEE00D
_DELIMITERS = 0xFFFE
_HEAD = 8
_PREAMBLE, _PREFIX = 128, b"DICM"
_WINDOWS = (-zlib.MAX_WBITS, zlib.MAX_WBITS | 32)
"""Of zlib: deflated as the standard says (PS3.5 A.5), and in the wrapper of zlib or gzip."""
_FIRST_BLOCK = 1 << 12
_LOADED = 1 << 16
"""Values up to here are read, whatever the bounds: creators and the like are needed."""
_INFLATED_AT_ONCE = 1 << 20
_MOST_ZEROS = 1 << 20
"""So many zeros are not looked behind."""
_BLOCK = 512
"""What storage fills up with zeros."""


@dataclass(slots=True)
class Entry:
    """One occurrence of an element."""

    tag: int
    vr_file: str
    """The VR in the file; empty where there is none."""
    raw: RawDataElement | None = None
    """As pydicom read it; None for a sequence whose items were read, and for pixel data."""
    items: list[DataSet] | None = None
    pixels: Pixels | None = None
    is_undefined: bool = False
    """Whether its length is, of a sequence or pixel data."""
    problem: str | None = None
    """Of its place and its extent."""
    start: int = 0
    end: int = 0
    """Where its head begins and what belongs to it ends, a delimiter included."""


class Pixels(NamedTuple):
    """Where pixel data stands: the positions of its value field, and how much of it there is."""

    start: int
    end: int
    n_bytes: int
    """Of encapsulated data, the bytes of its fragments."""


@dataclass(slots=True)
class DataSet:
    """The elements of a file's own data set, or of an item, in the order of the file."""

    implicit: bool = False
    little: bool = True
    entries: list[Entry] = field(default_factory=list)
    start: int = 0
    end: int = 0
    """Of an item, without its head, a delimiter included."""
    is_odd: bool = False
    """Whether it ends elsewhere than its length or its delimiter says."""
    _dataset: Dataset | None = None

    @property
    def dataset(self) -> Dataset:
        """What pydicom would have made of it, without sequences and pixel data."""
        if self._dataset is None:
            raws: MutableMapping[BaseTag, DataElement | RawDataElement]
            raws = {e.raw.tag: e.raw for e in self.entries if e.raw is not None}
            self._dataset = Dataset(raws)
            self._dataset.set_original_encoding(self.implicit, self.little, "iso8859")
        return self._dataset

    def last(self, tag: int) -> Entry | None:
        """The occurrence of a tag that counts."""
        return next((e for e in reversed(self.entries) if e.tag == tag), None)


class Parser:
    """Reads one file's elements; what was read before a failure stays.

    Args:
        stream: the file's bytes, seekable.
        size: of the file in bytes.
        bounds: what the file may cost.
    """

    def __init__(self, stream: BinaryIO, size: int, bounds: Bounds) -> None:
        self.bounds = bounds
        self.size = size
        """Of what is read: of the inflated data set, where it was deflated."""
        self.stream = Metered(stream, size, bounds)
        self.meta = DataSet()
        self.main = DataSet()
        self.is_deflated = False
        self._is_deflated_otherwise = False
        """Whether the data set is deflated where it should not be, or not as it should."""
        self.is_cut = False
        """Whether the file ends within its header."""
        self.is_damaged = False
        """Whether a deflated data set cannot be inflated to its end."""
        self.is_zeroed = False
        """Whether it holds nothing but zeros from somewhere within its data set."""
        self.pixels_lack: str | None = None
        """The reason, where pixel data is not there whole."""
        self.has_rest = False
        """Whether bytes that belong to no element stand behind the data set."""
        self._is_closed = False
        """Whether the stream's limit is the end of a sequence, and not where the file ends."""
        self._zeros_at: int | None = None
        self._defer_size = max(bounds.max_value_bytes, _LOADED)

    def parse(self) -> None:
        """Read the file.

        Raises:
            Exceeded: a bound was reached.
        """
        self._skip_preamble()
        self._read_meta()
        if self._skip_preamble():
            self._read_elements(self.main, group=2)
        if not self._is_plain() and (self.syntax in DEFLATED or self._looks_deflated()):
            self._inflate()
        self.main.implicit = not self._looks_explicit()
        self._read_elements(self.main, group=0)
        self.main.implicit, self.main.little = self._encoding()
        self._compare_encoding()
        self._read_elements(self.main)
        if not self.main.entries and (self._meta_end() or 0) > self.size:
            self.is_cut = True
        self._judge_zeros()

    @property
    def syntax(self) -> str | None:
        """The TransferSyntaxUID of the file meta information."""
        entry = self.meta.last(TRANSFER_SYNTAX)
        if entry is None or entry.raw is None:
            return None
        return (entry.raw.value or b"").rstrip(b" \0").decode("latin-1")

    @property
    def pixels(self) -> Pixels | None:
        """The pixel data that counts."""
        found = (e.pixels for e in reversed(self.main.entries) if e.pixels is not None)
        return next(found, None)

    # File meta information and encoding

    def _skip_preamble(self) -> bool:
        """Go behind a preamble and its prefix, however often they stand; whether there are any."""
        start = self.stream.tell()
        while self._peek(self.stream.tell() + _PREAMBLE, len(_PREFIX)) == _PREFIX:
            self.stream.seek(self.stream.tell() + _PREAMBLE + len(_PREFIX))
        return self.stream.tell() > start

    def _read_meta(self) -> None:
        self.meta.implicit = not self._looks_explicit()
        self._read_elements(self.meta, group=2)
        entries = self.meta.entries
        ends = [e.raw.value_tell + e.raw.length if e.raw else 0 for e in entries]
        declared = self._meta_end()
        if declared not in ends:
            declared = None
        last, seen = -1, set[int]()
        for number, entry in enumerate(entries):
            if declared is None:
                is_second = entry.tag in seen
            else:
                is_second = number > 0 and ends[number - 1] >= declared and entry.tag <= last
            if is_second:
                self.main.entries = entries[number:]
                del entries[number:]
                for other in self.main.entries:
                    other.problem = joined(other.problem, "outside_meta")
                break
            last = entry.tag
            seen.add(last)

    def _meta_end(self) -> int | None:
        """Where the file meta information ends by its own group length (PS3.10 7.1)."""
        raw = self.meta.entries[0].raw if self.meta.entries else None
        if raw is None or raw.tag != _META_LENGTH or len(raw.value or b"") != 4:
            return None
        return int(raw.value_tell) + 4 + int.from_bytes(raw.value or b"", "little")

    def _declared(self) -> tuple[bool, bool] | None:
        """Implicit VR and little endian, as the transfer syntax says."""
        syntax = self.syntax
        if syntax is None:
            return None
        for registered in pydicom.uid.PrivateTransferSyntaxes:
            if registered == syntax:
                return registered.is_implicit_VR, registered.is_little_endian
        implicit = syntax == pydicom.uid.ImplicitVRLittleEndian
        return implicit, syntax != pydicom.uid.ExplicitVRBigEndian

    def _encoding(self) -> tuple[bool, bool]:
        """Implicit VR and little endian, as the first element says."""
        declared = self._declared()
        head = self._peek(self.stream.tell(), 6)
        if len(head) < 6 or not any(head):
            return declared or (True, True)
        implicit = not self._looks_explicit()
        if declared is None:
            # As pydicom guesses: big endian is explicit, and its groups are large when swapped.
            return implicit, implicit or _tag(head, True) >> 16 < 1024
        little = declared[1]
        is_swapped = _is_known(_tag(head, not little)) and not _is_known(_tag(head, little))
        return implicit, not little if is_swapped else little

    def _compare_encoding(self) -> None:
        entry = self.meta.last(TRANSFER_SYNTAX)
        is_standard = UID_dictionary.get(self.syntax or "", ("", ""))[1] == "Transfer Syntax"
        is_there = bool(self._peek(self.stream.tell(), _HEAD).strip(b"\0"))
        found = (self.main.implicit, self.main.little)
        is_other = found != self._declared() or self._is_deflated_otherwise
        is_other |= self.syntax in DEFLATED and not self.is_deflated
        if entry is not None and is_standard and is_there and is_other:
            entry.problem = joined(entry.problem, "encoding_differs")

    def _looks_explicit(self) -> bool:
        """Whether the next element seems to have a VR."""
        return looks_like_vr(self._peek(self.stream.tell() + 4, 2))

    def _is_plain(self) -> bool:
        """Whether the data set begins with an element."""
        return _begins_plainly(self._peek(self.stream.tell(), 4))

    def _looks_deflated(self) -> bool:
        """Whether a data set that should not be deflated is."""
        block = self._peek(self.stream.tell(), _FIRST_BLOCK)
        return any(_begins_plainly(_first_bytes(block, window)) for window in _WINDOWS)

    def _inflate(self) -> None:
        at = self.stream.tell()
        block = self._peek(at, _FIRST_BLOCK)
        window = next((w for w in _WINDOWS if _first_bytes(block, w)), _WINDOWS[0])
        inflated, is_whole, self.has_rest = _inflated(
            self.stream.stream, window, self.bounds.max_inflated_bytes
        )
        self.is_deflated = True
        self._is_deflated_otherwise = self.syntax not in DEFLATED or window != _WINDOWS[0]
        self.is_cut = is_whole is False
        self.is_damaged = is_whole is None
        self.size = inflated.seek(0, io.SEEK_END)
        inflated.seek(0)
        self.stream = Metered(inflated, self.size, self.bounds)

    # Elements

    def _read_elements(
        self, into: DataSet, end: int | None = None, depth: int = 0, group: int | None = None
    ) -> bool:
        """Add the elements that stand at the stream's position.

        Args:
            into: the data set, with its encoding.
            end: where an item of defined length ends.
            depth: sequences around it.
            group: only elements of it.

        Returns:
            Whether an item delimiter was met, behind which the stream stands.
        """
        stream = self.stream
        halt = _Halt(stream, depth == 0, group, into.implicit, into.little)
        while True:
            here = stream.tell()
            if end is not None and here >= end:
                return False
            if end is not None and end - here < _HEAD and self._ends_at(end, into.little):
                into.is_odd = True
                stream.seek(end)
                return False
            halt.is_set = False
            elements = data_element_generator(
                _for_pydicom(stream), halt.implicit, into.little, halt, self._defer_size
            )
            try:
                for raw in elements:
                    entry = self._add(into, cast(RawDataElement, raw), depth)
                    entry.start, entry.end = here, stream.tell()
                    here = entry.end
                    if end is not None and end - here < _HEAD:
                        break
                else:
                    if halt.is_set:
                        start, count = stream.tell(), len(into.entries)
                        goes_on = self._read_halted(into, halt, end, depth)
                        if len(into.entries) > count:
                            into.entries[-1].start, into.entries[-1].end = start, stream.tell()
                        if goes_on:
                            continue
                        return False
                    if group is not None:
                        stream.seek(here)
                        return False
                    if stream.tell() - here >= _HEAD:  # pydicom ends at an item delimiter
                        if depth:
                            return True
                        self._add_stray(into, _ITEM_END, here)
                        continue
                    self._judge_rest(into, here, depth)
                    return False
            except struct.error:  # pydicom had not enough bytes for the longer head
                self._judge_rest(into, here, depth)
                stream.seek(stream.limit)
                return False

    def _ends_at(self, end: int, little: bool) -> bool:
        """Whether an item ends there, and not the element of which its last bytes are."""
        head = self._peek(end, 4)
        return len(head) < 4 or _tag(head, little) >> 16 == _DELIMITERS

    def _read_halted(self, into: DataSet, halt: _Halt, end: int | None, depth: int) -> bool:
        """Read what pydicom was stopped before; whether more may follow."""
        start = self.stream.tell()
        if halt.is_foreign:
            return False
        if halt.is_zeros:
            return self._skip_zeros(start, end, depth)
        if halt.tag >> 16 == _DELIMITERS:
            if depth:
                return False
            self._add_stray(into, halt.tag, start)
        elif halt.is_explicit:
            halt.implicit = False
        elif halt.is_odd:
            halt.length = halt.short(halt.length)
            entry = self._read_value(into, halt, start, depth)
            entry.problem = joined(entry.problem, "vr_differs")
        elif not depth and halt.tag in PIXEL_DATA:
            self._read_pixels(into, halt, start)
        elif halt.tag == CHARACTER_SET and halt.length != UNDEFINED:
            self._read_value(into, halt, start, depth)
        else:
            self._read_sequence(into, halt, start, depth)
        return True

    def _add(self, into: DataSet, raw: RawDataElement, depth: int) -> Entry:
        entry = Entry(int(raw.tag), "" if raw.is_implicit_VR else str(raw.VR or ""), raw)
        if raw.length and (raw.value is None or len(raw.value) < raw.length != UNDEFINED):
            limit = self.stream.limit
            if raw.length != UNDEFINED and raw.value_tell + raw.length > limit:
                if self._is_rest(entry.tag, depth):
                    return entry
                entry.problem = "cut_short"
                self.is_cut |= not self._is_closed
                there = max(0, limit - raw.value_tell)
                if raw.value is None and there <= self._defer_size:
                    self.stream.seek(raw.value_tell)
                    entry.raw = raw._replace(value=self.stream.read(there))
                self.stream.seek(limit)
        if not depth and entry.tag >> 16 == 2 and into is self.main:
            entry.problem = joined(entry.problem, "outside_meta")
        into.entries.append(entry)
        return entry

    def _add_stray(self, into: DataSet, tag: int, start: int) -> None:
        """Add the head of a delimiter or item that has no place here."""
        entry = Entry(tag, "", problem="stray_delimiter", start=start, end=start + _HEAD)
        into.entries.append(entry)
        self.stream.seek(entry.end)

    def _read_value(self, into: DataSet, halt: _Halt, start: int, depth: int) -> Entry:
        """Read an element of defined length without pydicom, which fails with some."""
        at = start + halt.head
        value = None
        self.stream.seek(at)
        if halt.length <= self._defer_size:
            value = self.stream.read(halt.length)
        else:
            self.stream.seek(at + halt.length)
        return self._add(into, halt.raw(at, value, into.little), depth)

    def _note_end(self, into: DataSet) -> None:
        """Something ends where the stream does: the file is cut, or a length around it wrong."""
        if self._is_closed:
            into.is_odd = True
        else:
            self.is_cut = True

    def _is_rest(self, tag: int, depth: int) -> bool:
        """Whether what does not end in the file is nothing that is known to stand behind pixels."""
        is_rest = not depth and self.pixels is not None and not _is_known(tag)
        if is_rest:
            self.has_rest = True
            self.stream.seek(self.size)
        return is_rest

    def _judge_rest(self, into: DataSet, here: int, depth: int) -> None:
        """Judge bytes at the end that are fewer than the head of an element."""
        if depth:
            self._note_end(into)
        elif self._peek(here, self.size - here).strip(b"\0 "):
            if self.pixels is not None:
                self.has_rest = True
            else:
                self.is_cut = True  # within the head of the element that came next

    # Zeros

    def _skip_zeros(self, start: int, end: int | None, depth: int) -> bool:
        """Go behind zeros where an element should stand; whether there is anything."""
        limit = self.stream.limit if end is None else min(end, self.stream.limit)
        data = self._peek(start, min(limit - start, _MOST_ZEROS))
        rest = data.lstrip(b"\0")
        self.has_rest |= not rest and limit - start > _MOST_ZEROS
        if rest:
            self.stream.seek(start + (len(data) - len(rest)) // 2 * 2)
            return True
        if not depth:
            self._zeros_at = start
        elif end is None and not self._is_closed:
            self.is_zeroed = True
        self.stream.seek(limit)
        return False

    def _judge_zeros(self) -> None:
        """Zeros behind what ends a data set fill a block, and so do a few elsewhere."""
        start = self._zeros_at
        ends = any(e.tag >= min(PIXEL_DATA) or e.tag == DIRECTORY for e in self.main.entries)
        if start is None or ends:
            return
        entry = self.main.entries[-1] if self.main.entries else None
        is_within = entry is not None and self._is_filled_up(entry)
        self.is_zeroed = is_within or self.size - start >= _BLOCK
        if self.is_zeroed and entry is not None and (is_within or _is_empty(entry)):
            entry.problem = joined(entry.problem, "cut_short")

    def _is_filled_up(self, entry: Entry) -> bool:
        """Whether zeros stand for the end of an element, of its head or of its text."""
        if entry.raw is None:
            return False
        if _is_empty(entry):
            return not (entry.vr_file or self.main.implicit)
        is_text = (entry.vr_file or _dictionary_vr(entry.tag)) in TEXT
        return is_text and (entry.raw.value or b"").endswith(b"\0\0")

    # Sequences

    def _read_sequence(self, into: DataSet, halt: _Halt, start: int, depth: int) -> None:
        """Add the sequence, or other element of undefined length, that pydicom stopped before."""
        at = start + halt.head
        is_undefined = halt.length == UNDEFINED
        is_sequence = not is_undefined or self._is_sequence(halt, at, into.little)
        if is_sequence:
            implicit = halt.implicit or halt.vr is None
            found = self.read_items(at, halt.length, implicit, into.little, depth)
            if found is not None:
                items, is_odd = found
                problem = "items_odd" if is_odd else None
                vr_file = halt.vr or ""
                entry = Entry(halt.tag, vr_file, None, items, None, is_undefined, problem)
                into.entries.append(entry)
                return
        if is_undefined:
            entry = self._read_undefined(into, halt, at, depth)
        else:
            entry = self._read_value(into, halt, start, depth)
        if is_sequence:
            assert entry.raw is not None
            entry.raw = entry.raw._replace(VR="UN")
            entry.problem = joined(entry.problem, "items_invalid")

    def _read_undefined(self, into: DataSet, halt: _Halt, at: int, depth: int) -> Entry:
        """Read a value up to the delimiter that ends it."""
        stream = self.stream
        stream.seek(at)
        is_ended = True
        value: bytes | None = None
        try:
            value = read_undefined_length_value(
                _for_pydicom(stream), into.little, SequenceDelimiterTag, self._defer_size
            )
        except EOFError:
            is_ended = False
            if self._is_rest(halt.tag, depth):
                return Entry(halt.tag, "", halt.raw(at, None, into.little))
            self._note_end(into)
            if stream.limit - at <= self._defer_size:
                stream.seek(at)
                value = stream.read(stream.limit - at)
            stream.seek(stream.limit)
        raw = halt.raw(at, value, into.little)
        vr = raw.VR or _dictionary_vr(halt.tag)
        entry = self._add(into, raw._replace(VR=vr), depth)
        entry.vr_file = halt.vr or ""
        if not is_ended:
            entry.problem = joined(entry.problem, "cut_short")
        return entry

    def _is_sequence(self, halt: _Halt, at: int, little: bool) -> bool:
        """Whether pydicom takes an element of undefined length for a sequence."""
        if halt.vr is not None:
            return halt.vr in ("SQ", "UN")  # as UN it is one (PS3.5 6.2.2)
        vr = _dictionary_vr(halt.tag)
        if vr is not None:
            return vr == "SQ"
        head = self._peek(at, 4)
        return len(head) == 4 and _tag(head, little) == _ITEM

    def read_items(
        self, start: int, length: int, implicit: bool, little: bool, depth: int
    ) -> tuple[list[DataSet], bool] | None:
        """The items of a sequence, and whether its extent is odd; None where there are none.

        The stream stands behind the sequence afterwards, or anywhere where something else than an
        item stands in it.

        Args:
            start: of its value.
            length: of its value, which may be undefined.
            implicit: whether its items may have explicit VR all the same.
            little: the byte order.
            depth: sequences around it.
        """
        if depth >= self.bounds.max_depth:
            most = self.bounds.max_depth
            raise Exceeded(f"too_deep: sequences nest deeper than {most} levels")
        stream = self.stream
        outer, is_closed = stream.limit, self._is_closed
        end = None if length == UNDEFINED else start + length
        is_clipped = end is not None and end > outer
        if end is not None:
            stream.limit = min(outer, end)
            self.is_cut |= is_clipped and not is_closed
            self._is_closed |= not is_clipped
        stream.seek(start)
        try:
            items, is_ended = self._items(implicit, little, depth)
        finally:
            stream.limit, self._is_closed = outer, is_closed
        here = stream.tell()
        if length and not items and not is_ended and here < min(end or outer, outer):
            return None
        is_odd = any(item.is_odd for item in items)
        if end is not None:
            is_odd |= is_closed if is_clipped else here != end
            stream.seek(min(end, outer))
        elif not is_ended:
            if here < outer or is_closed:  # an element follows that is not an item
                is_odd = True
            else:
                self.is_cut = True
        return items, is_odd

    def _items(self, implicit: bool, little: bool, depth: int) -> tuple[list[DataSet], bool]:
        """The items up to the stream's limit, and whether a delimiter ends them."""
        stream = self.stream
        unpack = struct.Struct("<HHL" if little else ">HHL").unpack
        items: list[DataSet] = []
        while (at := stream.tell()) < stream.limit:
            head = stream.read(_HEAD)
            if len(head) < _HEAD:
                stream.seek(at)
                self.is_cut |= not self._is_closed
                break
            group, number, size = unpack(head)
            tag = group << 16 | number
            if tag == _SEQUENCE_END:
                return items, True
            if tag != _ITEM:
                stream.seek(at)
                if not head.strip(b"\0") and not self._is_closed:
                    self._judge_zeros_within(at)
                break
            items.append(self._item(at + _HEAD, size, implicit, little, depth + 1))
        return items, False

    def _judge_zeros_within(self, at: int) -> None:
        """Judge zeros where an item or the end of a sequence should stand."""
        if not self._peek(at, _MOST_ZEROS).strip(b"\0"):
            self.is_zeroed = True
            self.stream.seek(self.stream.limit)

    def _item(self, start: int, size: int, implicit: bool, little: bool, depth: int) -> DataSet:
        stream = self.stream
        item = DataSet(implicit or not self._looks_explicit(), little, start=start)
        if size == UNDEFINED:
            is_ended = self._read_elements(item, None, depth)
            item.is_odd |= not is_ended and stream.tell() < self.size
        elif size:
            end = start + size
            if end > stream.limit:
                self._note_end(item)
                end = stream.limit
            self._read_elements(item, end, depth)
            item.is_odd |= stream.tell() != end
        item.end = stream.tell()
        return item

    # Pixels

    def _read_pixels(self, into: DataSet, halt: _Halt, start: int) -> None:
        """Add the pixel data, and go behind it."""
        at = start + halt.head
        problem = None
        if halt.length == UNDEFINED:
            order = "<" if into.little else ">"
            found = measure_fragments(
                self.stream.stream, at, self.size, order, self.bounds.max_fragments
            )
            n_bytes, end = found.n_bytes, found.end
            self.pixels_lack = found.lack
            if found.is_open:
                problem = "delimiter_missing"
        else:
            end = min(at + halt.length, self.size)
            n_bytes = end - at
            if n_bytes < halt.length:
                self.pixels_lack = CUT
        pixels = Pixels(at, end, n_bytes)
        is_undefined = halt.length == UNDEFINED
        entry = Entry(halt.tag, halt.vr or "", None, None, pixels, is_undefined, problem)
        into.entries.append(entry)
        self.stream.seek(self.size if self.pixels_lack else end)

    def _peek(self, at: int, length: int) -> bytes:
        """Bytes up to the stream's limit; the stream stays where it is."""
        stream = self.stream.stream
        here = stream.tell()
        stream.seek(max(at, 0))
        data = stream.read(max(0, min(length, self.stream.limit - at)))
        stream.seek(here)
        return data


class _Halt:
    """Stops pydicom before an element that is read here, and keeps the element's head."""

    def __init__(
        self, stream: Metered, is_top: bool, group: int | None, implicit: bool, little: bool
    ) -> None:
        self.stream = stream
        self.little = little
        self.is_top = is_top
        self.group = group
        self.implicit = implicit
        """Whether pydicom reads implicit VR."""
        self.is_set = self.is_foreign = self.is_explicit = self.is_zeros = self.is_odd = False
        self.tag = self.length = 0
        self.vr: str | None = None

    def __call__(self, tag: BaseTag, vr: str | None, length: int) -> bool:
        self.tag, self.vr, self.length = number, _, _ = int(tag), vr, length
        self.is_foreign = self.group is not None and number >> 16 != self.group
        self.is_explicit = vr is None and self.implicit and self._is_explicit(length)
        self.is_odd = vr is None and not self.implicit and self._is_odd(length)
        self.is_zeros = vr is None and not number and not length
        self.is_set = (
            self.is_foreign
            or self.is_explicit
            or self.is_odd
            or length == UNDEFINED
            or (vr == "SQ" if vr is not None else _dictionary_vr(number) == "SQ")
            or number >> 16 == _DELIMITERS
            or number == CHARACTER_SET
            or self.is_zeros
            or (self.is_top and number in PIXEL_DATA)
        )
        return self.is_set

    def _is_explicit(self, length: int) -> bool:
        """Whether a length that no file has is a VR with the length that follows it."""
        is_vr = (length & 0xFFFF).to_bytes(2, "little") in ENCODED_VR
        return is_vr and self.stream.tell() + length > self.stream.limit

    def _is_odd(self, length: int) -> bool:
        """Whether a length after no VR (`lo`, `??`) is that and a length of two bytes."""
        at = self.stream.tell()
        short = self.short(length)
        is_odd = (
            length != UNDEFINED and not self._goes_on(at + length) and self._goes_on(at + short)
        )
        self.stream.seek(at)
        return is_odd

    def short(self, length: int) -> int:
        """The length of two bytes that pydicom takes for half of one of four."""
        return length >> 16 if self.little else length & 0xFFFF

    def _goes_on(self, at: int) -> bool:
        """Whether a data set ends there, or a later element of it that is known begins."""
        if at >= self.stream.limit:
            return at == self.stream.limit
        self.stream.seek(at)
        head = self.stream.read(4)
        tag = _tag(head, self.little)
        return tag > self.tag and (_is_known(tag) or tag >> 16 == _DELIMITERS or tag >> 16 & 1 == 1)

    @property
    def head(self) -> int:
        return 12 if self.vr in _LONG_VRS else 8

    def raw(self, at: int, value: bytes | None, little: bool) -> RawDataElement:
        return RawDataElement(
            BaseTag(self.tag), self.vr, self.length, value, at, self.implicit, little
        )


def _for_pydicom(stream: Metered) -> BinaryIO:
    """It reads, seeks and tells; pydicom asks for no more."""
    return cast(BinaryIO, stream)


def _is_empty(entry: Entry) -> bool:
    return entry.raw is not None and not entry.raw.length


def looks_like_vr(two: bytes) -> bool:
    """pydicom's test of what stands where a VR would: capital letters."""
    return len(two) == 2 and 0x40 < two[0] < 0x5B and 0x40 < two[1] < 0x5B


def _tag(head: bytes, little: bool) -> int:
    order: Literal["little", "big"] = "little" if little else "big"
    return int.from_bytes(head[:2], order) << 16 | int.from_bytes(head[2:4], order)


def _is_known(tag: int) -> bool:
    return attribute(tag) is not None


def _dictionary_vr(tag: int) -> str | None:
    entry = attribute(tag) or repeating_attribute(tag)
    return entry.vr if entry else None


def _begins_plainly(head: bytes) -> bool:
    """Whether the tag of an element that is known stands there, in either byte order."""
    return len(head) == 4 and any(_is_known(_tag(head, little)) for little in (True, False))


def _first_bytes(block: bytes, window: int) -> bytes:
    """The first four bytes that a deflated block unfolds to; fewer where it is none."""
    try:
        return zlib.decompressobj(window).decompress(block, 4)
    except zlib.error:
        return b""


def _inflated(stream: BinaryIO, window: int, limit: int) -> tuple[io.BytesIO, bool | None, bool]:
    """What the stream unfolds to, whether it ends as it should, and whether bytes follow.

    Of a damaged stream nobody knows where it ends.
    """
    unzip = zlib.decompressobj(window)
    inflated = io.BytesIO()
    read = 0
    while not unzip.eof and (block := stream.read(_INFLATED_AT_ONCE)):
        read += len(block)
        while block and not unzip.eof:
            try:
                inflated.write(unzip.decompress(block, _INFLATED_AT_ONCE))
            except zlib.error:
                return inflated, None, False
            block = unzip.unconsumed_tail
            if inflated.tell() > limit or read > limit:
                raise Exceeded(f"inflates_too_far: unfolds to more than {limit} bytes")
    rest = unzip.unused_data + stream.read(_HEAD)
    data = inflated.getbuffer()
    sums = (
        struct.pack("<LL", zlib.crc32(data), len(data)),  # as gzip ends
        struct.pack(">L", zlib.adler32(data)),  # as zlib does
    )
    return inflated, unzip.eof, not rest.startswith(sums) and bool(rest.strip(b"\0"))
