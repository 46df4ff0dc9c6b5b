"""The reference reader: `parse` splits the bytes with pydicom, pydicom gives each element its VR,
and this module names, decodes and counts what was found.

It reads everything that pydicom reads, whatever its encoding, and skips pixel data.
"""

from __future__ import annotations

import logging
import os
import struct
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any, BinaryIO, NamedTuple

import dicomhouse.without_decoders  # noqa: F401

# isort: split
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.hooks import hooks
from pydicom.valuerep import AMBIGUOUS_VR

from dicomhouse.dicom.bounds import Bounds
from dicomhouse.dicom.decode import DEFAULT_CHARSET, Charset, Value, charset, decode
from dicomhouse.dicom.elements import FileHeader, Headers
from dicomhouse.dicom.fragments import ZEROED, encapsulation_problem
from dicomhouse.dicom.metered import Exceeded
from dicomhouse.dicom.parse import UNDEFINED, DataSet, Entry, Parser
from dicomhouse.dicom.problems import joined
from dicomhouse.dicom.sniff import kind_of
from dicomhouse.dicom.tree import creator_text, element, pixel_vr
from dicomhouse.standard.tags import CHARACTER_SET, DIRECTORY, is_creator, is_private

_HEADER_ENDS = "header_ends: the file ends within its header"
_DAMAGED = "inflate_failed: the deflated data set is damaged"
_BYTES_FOLLOW = "bytes_follow: bytes that are no element stand behind the data set"

# pydicom's warnings quote values, which may identify a patient: they go nowhere.
logging.getLogger("pydicom").addHandler(logging.NullHandler())
logging.getLogger("pydicom").propagate = False


def read_header(stream: BinaryIO, headers: Headers, bounds: Bounds | None = None) -> FileHeader:
    """Read one file and add its elements to `headers`, in the order of the file.

    Args:
        stream: the file's bytes, seekable, at its beginning.
        headers: takes the elements; one file more stands in it afterwards.
        bounds: what the file may cost.

    Returns:
        The file's status. What was read before a failure stays, except of files that are not
        DICOM. Never raises for what the bytes hold; errors of the stream itself (OSError) pass.
    """
    reader = _Reader(stream, headers, bounds or Bounds())
    header = reader.read()
    headers.add(header, reader.codes, reader.items)
    return header


def _failure(error: Exception) -> FileHeader:
    """How a file ends that pydicom raised `error` on."""
    cause: BaseException | None = error
    while cause is not None:  # pydicom may turn a RecursionError into another one
        if isinstance(cause, RecursionError):
            return FileHeader("unreadable", "too_deep: sequences nest deeper than pydicom follows")
        cause = cause.__context__
    if isinstance(error, (EOFError, struct.error, OSError)):  # fewer bytes than a length takes
        return FileHeader("truncated", _HEADER_ENDS)
    return FileHeader("unreadable", f"parse_failed: pydicom raised {type(error).__name__}")


class _Reader:
    def __init__(self, stream: BinaryIO, headers: Headers, bounds: Bounds) -> None:
        self.headers = headers
        self.bounds = bounds
        self.codes: list[int] = []
        self.items: list[int] = []
        self.most_characters = headers.n_characters + 2 * bounds.max_header_bytes
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        self.kind = kind_of(stream.read(512), size)
        stream.seek(0)
        self.parser = Parser(stream, size, bounds)

    def read(self) -> FileHeader:
        if self.kind is not None:
            return self.kind
        failed = self._attempt(self.parser.parse)
        reason = self.parser.stream.exceeded
        if reason is not None:
            return FileHeader("unreadable", reason)
        failed = self._attempt(self._add_all) or failed
        reason = self.parser.stream.exceeded
        if reason is not None:
            return FileHeader("unreadable", reason)
        return failed or self._outcome()

    def _attempt(self, step: Callable[[], None]) -> FileHeader | None:
        """How the file ends where a step fails."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                step()
        except Exceeded as bound:
            return FileHeader("unreadable", str(bound))
        except Exception as error:  # whatever pydicom raises on such bytes
            if isinstance(error, OSError) and error.errno is not None:
                raise
            return _failure(error)
        return None

    def _outcome(self) -> FileHeader:
        parser = self.parser
        entries = parser.main.entries
        counting = {e.tag: e.pixels.n_bytes for e in entries if e.pixels is not None}
        pixel_bytes = sum(counting.values()) if counting else None
        is_empty = all(entry.tag >> 16 <= 2 or entry.pixels is not None for entry in entries)
        if parser.is_damaged:
            return FileHeader("unreadable", _DAMAGED, pixel_bytes)
        if parser.is_zeroed:
            return FileHeader("truncated", ZEROED, pixel_bytes)
        if parser.is_cut and is_empty:
            return FileHeader("truncated", _HEADER_ENDS)
        if not self.codes:
            return FileHeader("not_dicom", "no_elements: no DICOM element was found")
        if is_empty or any(entry.tag == DIRECTORY for entry in entries):
            reason = "no_instance: a directory or bare file meta information"
            return FileHeader("no_image", _HEADER_ENDS if parser.is_cut else reason)
        if parser.pixels_lack is not None:
            return FileHeader("truncated", parser.pixels_lack, pixel_bytes)
        if parser.is_cut:
            return FileHeader("truncated", _HEADER_ENDS, pixel_bytes)
        return FileHeader("ok", _BYTES_FOLLOW if parser.has_rest else None, pixel_bytes)

    def _add_all(self) -> None:
        self._add_data_set(self.parser.meta, "", "", 0, DEFAULT_CHARSET)
        self._add_data_set(self.parser.main, "", "", 0, DEFAULT_CHARSET)

    def _add_data_set(
        self,
        part: DataSet,
        parent: str,
        item: str,
        depth: int,
        chars: Charset,
        problem: str | None = None,
    ) -> None:
        """Add the elements of a data set and of its sequences.

        Args:
            part: the data set.
            parent: the path of the sequence around it.
            item: its item numbers from the outermost.
            depth: sequences around it.
            chars: the character set that it inherits.
            problem: of all of it.
        """
        creators: dict[int, str] = {}
        item_code = self.headers.item_code(item)
        own_chars = self._charset_of(part, chars)
        places = problems_of_place([entry.tag for entry in part.entries])
        for number, entry in enumerate(part.entries):
            tag = entry.tag
            wrong = problem
            if places or entry.problem:
                wrong = joined(problem, entry.problem, places[number] if places else None)
            # An element ggggBBee belongs to the block that gggg00BB reserves (PS3.5 7.8.1).
            creator = creators.get(tag >> 8) if is_private(tag) and tag & 0xF000 else None
            here = own_chars if tag > CHARACTER_SET else chars
            if entry.pixels is not None:
                self._add_pixels(entry, wrong)
                continue
            items, is_handed_down = entry.items, not entry.is_undefined
            value = Value(0)
            n_bytes: int | None = 0
            vr = "SQ"
            if items is None and entry.raw is not None:
                vr = self._vr(part, entry.raw)
                if vr == "SQ":
                    items, vr, wrong = self._items(entry.raw, depth, wrong)
                if items is None:
                    n_bytes, value = self._decoded(entry.raw, vr, part.little, here)
            elif items is None:
                vr = "NONE"  # a delimiter
            if items is not None:
                if is_handed_down:
                    _hand_down_representation(part.dataset, items)
                value = Value(1 if items else 0, number=float(len(items)))
                path = self._add(
                    parent, depth, tag, creator, "SQ", entry.vr_file, None, value, item_code, wrong
                )
                is_counted_out = wrong is not None and "overridden" in wrong
                for place, nested in enumerate(items):
                    below = f"{item}.{place}" if item else str(place)
                    inherited = "overridden" if is_counted_out else None
                    self._add_data_set(nested, path, below, depth + 1, here, inherited)
                continue
            if is_creator(tag):
                creator = creator_text(value.text)
                if creator and value.vm == 1:
                    creators[tag >> 16 << 8 | tag & 0xFF] = creator
            self._add(
                parent, depth, tag, creator, vr, entry.vr_file, n_bytes, value, item_code, wrong
            )

    def _vr(self, part: DataSet, raw: RawDataElement) -> str:
        dataset = part.dataset
        counting = dataset._dict.get(raw.tag)
        dataset._dict[raw.tag] = raw  # the others of its tag would stand for it
        try:
            return vr_of(dataset, raw)
        finally:
            if counting is not None:
                dataset._dict[raw.tag] = counting

    def _items(
        self, raw: RawDataElement, depth: int, wrong: str | None
    ) -> tuple[list[DataSet] | None, str, str | None]:
        """The items of a sequence that did not look like one, its VR and its problems."""
        little = raw.is_little_endian
        found = self.parser.read_items(
            raw.value_tell, raw.length, raw.is_implicit_VR, little, depth
        )
        if found is None:
            return None, "UN", joined(wrong, "items_invalid")
        items, is_odd = found
        return items, "SQ", joined(wrong, "items_odd") if is_odd else wrong

    def _decoded(
        self, raw: RawDataElement, vr: str, little: bool, chars: Charset
    ) -> tuple[int | None, Value]:
        """The length of an element's value, as far as it is there, and the value."""
        data = raw.value
        if data is None and raw.length:
            if raw.length == UNDEFINED:
                return None, Value(1, problem="not_read")
            n_bytes = min(raw.length, self.parser.size - raw.value_tell)
        else:
            data = data or b""
            n_bytes = len(data)
        if data is None or n_bytes > self.bounds.max_value_bytes:
            return n_bytes, Value(1, problem="not_read")
        tag = int(raw.tag)
        return n_bytes, decode(data, vr, tag, chars, little, self.bounds.max_text_bytes)

    def _charset_of(self, part: DataSet, inherited: Charset) -> Charset:
        entry = part.last(CHARACTER_SET)
        if entry is None or entry.raw is None:
            return inherited
        vr = self._vr(part, entry.raw)
        _, value = self._decoded(entry.raw, vr, part.little, inherited)
        return charset(value.text or "")

    def _add_pixels(self, entry: Entry, wrong: str | None) -> None:
        assert entry.pixels is not None
        n_bytes = entry.pixels.n_bytes
        vr = pixel_vr(entry.tag, entry.vr_file, entry.is_undefined)
        if n_bytes:
            syntax = self.parser.syntax
            odd = encapsulation_problem(entry.tag, syntax, entry.is_undefined)
            wrong = joined(wrong, odd) if odd else wrong
        value = Value(1 if n_bytes else 0)
        self._add("", 0, entry.tag, None, vr, entry.vr_file, n_bytes, value, 0, wrong)

    def _add(
        self, parent: str, depth: int, tag: int, creator: str | None, vr: str, vr_file: str,
        n_bytes: int | None, value: Value, item_code: int, problem: str | None,
    ) -> str:  # fmt: skip
        if len(self.codes) >= self.bounds.max_elements:
            raise Exceeded(f"too_many: more than {self.bounds.max_elements} elements")
        if self.headers.n_characters > self.most_characters:
            raise Exceeded("too_long: more text than its bounds allow")
        record = element(parent, depth, tag, creator, vr, vr_file, n_bytes, value, problem)
        self.codes.append(self.headers.code(record))
        self.items.append(item_code)
        return record.path


def problems_of_place(tags: Sequence[int]) -> list[str | None]:
    """What is wrong with the places of a data set's elements; empty where tags rise throughout.

    Of a tag that stands more than once the last occurrence counts, as in pydicom.
    """
    if all(tag < after for tag, after in pairwise(tags)):
        return []
    times = Counter(tags)
    last = {tag: number for number, tag in enumerate(tags)}
    displaced = _displaced(tags)
    return [
        joined(
            "repeated" if times[tag] > 1 else None,
            "overridden" if last[tag] != number else None,
            "out_of_order" if number in displaced else None,
        )
        for number, tag in enumerate(tags)
    ]


def _displaced(tags: Sequence[int]) -> set[int]:
    """Which elements are out of order: where the tags fall, the one without which they rise."""
    found = set()
    for number, (before, tag) in enumerate(pairwise(tags), 1):
        if tag >= before:
            continue
        rises_without = number + 1 == len(tags) or tags[number + 1] > before
        rises_without_before = number == 1 or tags[number - 2] < tag
        found.add(number - 1 if rises_without_before and not rises_without else number)
    return found


class _Sequence(NamedTuple):
    """As much of a sequence as pydicom asks of one that hands down its PixelRepresentation."""

    VR: str
    value: list[Dataset]


def _hand_down_representation(dataset: Dataset, items: list[DataSet]) -> None:
    """Where pydicom converts a sequence, its items get the PixelRepresentation around them."""
    sequence: Any = _Sequence("SQ", [item.dataset for item in items])
    with suppress(Exception):  # one that cannot be converted
        dataset._set_pixel_representation(sequence)


def vr_of(dataset: Dataset, raw: RawDataElement) -> str:
    """The VR that pydicom gives an element which stands in `dataset`."""
    found: dict[str, Any] = {}
    with suppress(Exception):
        hooks.raw_element_vr(raw, found, ds=dataset)
    vr = str(found.get("VR") or raw.VR or "UN")
    if vr in AMBIGUOUS_VR:
        with suppress(Exception):
            vr = str(dataset[raw.tag].VR)
    return vr
