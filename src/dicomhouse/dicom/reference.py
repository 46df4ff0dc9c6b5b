"""The reference reader: pydicom parses, this module only names and counts what it found.

It reads everything that pydicom reads, whatever its encoding, and skips pixel data, which it
measures by the headers of its fragments (PS3.5 Annex A.4).
"""

from __future__ import annotations

import io
import logging
import os
import struct
import warnings
import zlib
from contextlib import suppress
from typing import Any, BinaryIO, cast

import pydicom
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import data_element_generator, read_dataset, read_partial
from pydicom.hooks import hooks
from pydicom.tag import BaseTag

from dicomhouse.dicom.bounds import Bounds
from dicomhouse.dicom.decode import DEFAULT_CHARSET, Charset, Value, charset, decode
from dicomhouse.dicom.elements import FileHeader, Headers
from dicomhouse.dicom.metered import Exceeded, Metered, count_headers
from dicomhouse.dicom.sniff import kind_of
from dicomhouse.dicom.tree import PIXEL_DATA, creator_text, element
from dicomhouse.standard.tags import is_creator, is_private

DEFLATED = frozenset(
    {"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"}
)
"""Transfer syntaxes whose whole dataset is deflated (PS3.5 A.5, A.6)."""

_INFLATED_AT_ONCE = 1 << 20
_UNDEFINED = 0xFFFFFFFF
_HEADER_ENDS = "header_ends: the file ends within its header"

# pydicom's warnings quote values, which may identify a patient: they go nowhere.
logging.getLogger("pydicom").addHandler(logging.NullHandler())
logging.getLogger("pydicom").propagate = False
_LONG_VRS = frozenset(pydicom.valuerep.EXPLICIT_VR_LENGTH_32)


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
    codes: list[int] = []
    items: list[int] = []
    reader = _Reader(stream, headers, codes, items, bounds or Bounds())
    header = reader.read()
    headers.add(header, codes, items)
    return header


def _failure(error: Exception) -> FileHeader:
    """How a file ends that pydicom raised `error` on."""
    cause: BaseException | None = error
    while cause is not None:  # pydicom may turn a RecursionError into another one
        if isinstance(cause, RecursionError):
            return FileHeader("unreadable", "too_deep: sequences nest deeper than pydicom follows")
        cause = cause.__context__
    # Fewer bytes than a length takes; and pydicom's own, where a sequence lacks its next item.
    if isinstance(error, (EOFError, struct.error, OSError)):
        return FileHeader("truncated", _HEADER_ENDS)
    return FileHeader("unreadable", f"parse_failed: pydicom raised {type(error).__name__}")


class _Reader:
    def __init__(
        self,
        stream: BinaryIO,
        headers: Headers,
        codes: list[int],
        items: list[int],
        bounds: Bounds,
    ) -> None:
        self.headers = headers
        self.codes = codes
        self.items = items
        self.bounds = bounds
        self.ends_early = False
        self.top_tags: set[int] = set()  # a tag stands once in a file; the first one counts
        self.most_characters = headers.n_characters + 2 * bounds.max_header_bytes
        self.size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        self.stream = Metered(stream, self.size, bounds)

    def read(self) -> FileHeader:
        kind = kind_of(self.stream.read(512), self.size)
        self.stream.seek(0)
        if kind is not None:
            return kind
        header = self._outcome()
        reason = self.stream.exceeded
        return header if reason is None else FileHeader("unreadable", reason)

    def _outcome(self) -> FileHeader:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self._read()
        except Exceeded as bound:
            return FileHeader("unreadable", str(bound))
        except Exception as error:  # whatever pydicom raises on such bytes
            if isinstance(error, OSError) and error.errno is not None:
                raise
            return _failure(error)

    def _read(self) -> FileHeader:
        file = self.stream
        dataset = self._parse()  # which may put inflated bytes in the stream's place
        meta = _top_elements(file, dataset.file_meta, False, True)
        self._walk(dataset.file_meta, "", "", 0, DEFAULT_CHARSET, True, meta)
        little = dataset.original_encoding[1] is not False
        implicit = bool(dataset.original_encoding[0])
        top = _top_elements(self.stream, dataset, implicit, little)
        chars = self._walk(dataset, "", "", 0, DEFAULT_CHARSET, little, top)
        self.ends_early |= self._is_cut_behind(top or meta, whole_meta=bool(top))
        pixel_bytes: int | None = None
        truncated = False
        while (pixel := self._pixel_data(implicit, little)) is not None:
            length, truncated = pixel
            pixel_bytes = length if pixel_bytes is None else pixel_bytes + length
            if truncated:
                break
            rest = read_dataset(
                _for_pydicom(self.stream),
                implicit,
                little,
                stop_when=_at_pixel_data,
                defer_size=self.defer_size,
            )
            self._walk(rest, "", "", 0, chars, little)
        if self.ends_early and not top:
            return FileHeader("truncated", _HEADER_ENDS)
        if not self.codes:
            return FileHeader("not_dicom", "no_elements: no DICOM element was found")
        if "DirectoryRecordSequence" in dataset or not any(
            int(tag) >> 16 > 2 for tag in dataset._dict
        ):
            return FileHeader("no_image", "no_instance: a directory or bare file meta information")
        if truncated:
            return FileHeader("truncated", "pixel_data_ends: the file ends within its pixel data",
                              pixel_bytes)  # fmt: skip
        if self.ends_early:
            return FileHeader("truncated", _HEADER_ENDS,
                              pixel_bytes)  # fmt: skip
        return FileHeader("ok", None, pixel_bytes)

    def _is_cut_behind(self, elements: list[tuple[int, Any]], whole_meta: bool) -> bool:
        """Whether the file ends within the header of an element that would come next.

        pydicom takes fewer than eight bytes for the end. Blanks and zeros there are padding.
        """
        last = elements[-1][1] if elements else None
        if not isinstance(last, RawDataElement) or last.length == _UNDEFINED:
            return False
        if not whole_meta:
            length = next((e.value for tag, e in elements if tag == 0x00020000), None)
            if length and len(length) == 4 and 144 + int.from_bytes(length, "little") > self.size:
                return True  # the group is longer than the file (PS3.10 7.1)
        end = last.value_tell + last.length
        if not 0 < self.size - end < 8:
            return False
        here = self.stream.tell()
        self.stream.seek(end)
        rest = self.stream.read(8)
        self.stream.seek(here)
        return bool(rest.strip(b"\0 "))

    @property
    def defer_size(self) -> int:
        """Longer values pydicom skips. Creators and the like are never deferred."""
        return max(self.bounds.max_value_bytes, 1 << 16)

    def _parse(self) -> Any:
        """pydicom's dataset up to the pixel data; `stream` stands there afterwards."""
        meta = _deflated_meta(self.stream)
        self.stream.seek(0)
        if meta is None:
            return read_partial(
                _for_pydicom(self.stream), _at_pixel_data, self.defer_size, force=True
            )
        file_meta, start = meta
        self.stream.seek(start)
        inflated = _inflate(self.stream.stream, self.bounds.max_inflated_bytes)
        self.size = inflated.seek(0, os.SEEK_END)
        inflated.seek(0)
        self.stream = Metered(inflated, self.size, self.bounds)
        dataset = read_dataset(
            _for_pydicom(self.stream),
            False,
            True,
            stop_when=_at_pixel_data,
            defer_size=self.defer_size,
        )
        return pydicom.FileDataset(
            "", dataset, file_meta=file_meta, is_implicit_VR=False, is_little_endian=True
        )

    def _walk(
        self,
        dataset: Any,
        parent: str,
        item: str,
        depth: int,
        chars: Charset,
        little: bool,
        raws: list[tuple[int, Any]] | None = None,
    ) -> Charset:
        """Add the elements of a dataset and of its sequences; the character set it leaves."""
        if depth > self.bounds.max_depth:
            raise Exceeded(f"too_deep: sequences nest deeper than {self.bounds.max_depth} levels")
        creators: dict[int, str] = {}
        item_code = self.headers.item_code(item)
        implicit = bool(dataset.original_encoding[0])
        ahead = (_raw_elements(dataset) if raws is None else raws)[::-1]
        while ahead:  # whose bytes are let go of one by one
            tag, raw = ahead.pop()
            if not depth and self._came_before(tag):
                continue
            # An element ggggBBee belongs to the block that gggg00BB reserves (PS3.5 7.8.1).
            creator = creators.get(tag >> 8) if is_private(tag) and tag & 0xF000 else None
            vr_file = "" if getattr(raw, "is_implicit_VR", implicit) else str(raw.VR or "")
            if isinstance(raw, RawDataElement):
                raw = self._loaded(dataset, raw)
                n_bytes, vr = self._converted(dataset, raw, little)
                data = raw.value or b""
            else:
                data, n_bytes, vr = b"", 0, str(raw.VR)
            if vr == "SQ":
                del raw, data
                self._sequence(
                    dataset[tag], vr_file, parent, item, item_code, depth, creator, chars, little
                )
                continue
            if n_bytes is None or n_bytes > self.bounds.max_value_bytes:
                value = Value(1, problem="not_read")
            else:
                value = decode(data, vr, tag, chars, little, self.bounds.max_text_bytes)
            if is_creator(tag):
                creator = creator_text(value.text)
                if creator and value.vm == 1:
                    creators[tag >> 16 << 8 | tag & 0xFF] = creator
            self._add(parent, depth, tag, creator, vr, vr_file, n_bytes, value, item_code)
            if tag == 0x00080005:
                chars = charset(value.text or "")
        return chars

    def _loaded(self, dataset: Dataset, raw: RawDataElement) -> RawDataElement:
        """The element with the value that pydicom skipped, where it is a sequence's."""
        if not _is_deferred(raw) or raw.length == _UNDEFINED or _vr_of(dataset, raw) != "SQ":
            return raw
        self.stream.seek(raw.value_tell)
        raw = raw._replace(value=self.stream.read(raw.length))
        dataset._dict[raw.tag] = raw
        return raw

    def _converted(
        self, dataset: Dataset, raw: RawDataElement, little: bool
    ) -> tuple[int | None, str]:
        """The length of an element's value, as far as it is there, and the VR pydicom gives it."""
        if _is_deferred(raw):
            if raw.length == _UNDEFINED:
                return None, _vr_of(dataset, raw)
            there = min(raw.length, self.size - raw.value_tell)
            self.ends_early |= there < raw.length
            return there, _vr_of(dataset, raw)
        data = raw.value or b""
        if raw.length not in (len(data), _UNDEFINED):
            self.ends_early = True
        if raw.VR in ("SQ", "UN", None) and len(data) >= 8 and _vr_of(dataset, raw) == "SQ":
            most = self.bounds.max_objects
            self.stream.count(count_headers(data, raw.is_implicit_VR, little, most))
        return len(data), str(converted(dataset, int(raw.tag), raw).VR)

    def _sequence(
        self, elem: DataElement, vr_file: str, parent: str, item: str, item_code: int,
        depth: int, creator: str | None, chars: Charset, little: bool,
    ) -> None:  # fmt: skip
        count = len(elem.value)
        value = Value(1 if count else 0, number=float(count))
        path = self._add(
            parent, depth, int(elem.tag), creator, "SQ", vr_file, None, value, item_code
        )
        for number, nested in enumerate(elem.value):
            below = f"{item}.{number}" if item else str(number)
            self._walk(nested, path, below, depth + 1, chars, little)

    def _add(
        self, parent: str, depth: int, tag: int, creator: str | None, vr: str, vr_file: str,
        n_bytes: int | None, value: Value, item_code: int,
    ) -> str:  # fmt: skip
        if len(self.codes) >= self.bounds.max_elements:
            raise Exceeded(f"too_many: more than {self.bounds.max_elements} elements")
        if self.headers.n_characters > self.most_characters:
            raise Exceeded("too_long: more text than its bounds allow")
        record = element(parent, depth, tag, creator, vr, vr_file, n_bytes, value)
        self.codes.append(self.headers.code(record))
        self.items.append(item_code)
        return record.path

    def _pixel_data(self, implicit: bool, little: bool) -> tuple[int, bool] | None:
        """Add the pixel data that the stream stands at and skip it.

        Returns its length in bytes and whether the file ends within it; None where there is none.
        """
        start = self.stream.tell()
        head = self.stream.read(12)
        end = "<" if little else ">"
        if len(head) < 8:
            return None
        group, number = struct.unpack(end + "HH", head[:4])
        tag = group << 16 | number
        if tag not in PIXEL_DATA:
            return None
        if implicit or not head[4:6].isalpha():  # some writers' datasets are not what they declare
            (length,) = struct.unpack(end + "L", head[4:8])
            native = {0x08: "OF", 0x09: "OD", 0x10: "OW"}[number]
            vr_file, vr = "", "OB" if length == _UNDEFINED else native
            value_start = start + 8
        else:
            vr_file = vr = head[4:6].decode("latin-1")
            if vr in _LONG_VRS:
                if len(head) < 12:
                    self.ends_early = True
                    return None
                (length,) = struct.unpack(end + "L", head[8:12])
                value_start = start + 12
            else:
                (length,) = struct.unpack(end + "H", head[6:8])
                value_start = start + 8
        if length == _UNDEFINED:
            most = self.bounds.max_fragments
            length, truncated = measure_fragments(
                self.stream.stream, value_start, self.size, end, most
            )
        else:
            truncated = value_start + length > self.size
            length = min(length, self.size - value_start)
            self.stream.seek(value_start + length)
        if not self._came_before(tag):
            value = Value(1 if length else 0)
            self._add("", 0, tag, None, vr, vr_file, length, value, 0)
        return length, truncated

    def _came_before(self, tag: int) -> bool:
        """Whether the top level has this tag already, in its meta information or before pixels."""
        known = tag in self.top_tags
        self.top_tags.add(tag)
        return known


def measure_fragments(
    stream: BinaryIO, position: int, size: int, end: str, most: int
) -> tuple[int, bool]:
    """Bytes of the fragments behind the offset table, and whether their end is missing.

    Args:
        stream: stands behind the sequence's delimiter afterwards, where there is one.
        position: of the first item, the offset table.
        size: of the whole stream.
        end: the byte order, `<` or `>`.
        most: fragments, with more of which the file is `Exceeded`.
    """
    total = 0
    is_first = True
    for _ in range(most + 2):
        stream.seek(position)
        head = stream.read(8)
        if len(head) < 8:
            return total, True
        group, number, length = struct.unpack(end + "HHL", head)
        position += 8
        if (group, number) == (0xFFFE, 0xE0DD):
            return total, False
        if (group, number) != (0xFFFE, 0xE000):
            return total, True
        if position + length > size:
            return total + (0 if is_first else size - position), True
        position += length
        total += 0 if is_first else length
        is_first = False
    raise Exceeded(f"too_many: more than {most} fragments of pixel data")


def _at_pixel_data(tag: BaseTag, vr: str | None, length: int) -> bool:
    return int(tag) in PIXEL_DATA


def _raw_elements(dataset: Dataset) -> list[tuple[int, Any]]:
    """The elements as they were read, in the order of the file.

    All at once: pydicom converts some of them while it converts others.
    """
    return [(int(tag), dataset.get_item(tag, keep_deferred=True)) for tag in dataset._dict]


def _top_elements(
    stream: Metered, dataset: Dataset, implicit: bool, little: bool
) -> list[tuple[int, Any]]:
    """Those of a file's own dataset, of which pydicom has converted a few while reading.

    They are read again from where they stand in `stream`, which stays where it is.
    """
    here = stream.tell()
    elements = []
    for tag, raw in _raw_elements(dataset):
        if isinstance(raw, DataElement) and raw.VR != "SQ" and raw.file_tell:
            for header in (8, 12):  # by the VR in the file, which is not always the converted one
                stream.seek(raw.file_tell - header)
                if _tag(stream.read(4), little) == tag:
                    stream.seek(raw.file_tell - header)
                    elements_here = data_element_generator(_for_pydicom(stream), implicit, little)
                    raw = next(elements_here, raw)
                    break
        elements.append((tag, raw))
    stream.seek(here)
    return elements


def _tag(data: bytes, little: bool) -> int:
    group, number = struct.unpack("<HH" if little else ">HH", data)
    return int(group) << 16 | int(number)


class _Unconverted:
    """Stands for an element whose value pydicom could not convert."""

    def __init__(self, vr: str) -> None:
        self.VR = vr
        self.value: list[Dataset] = []


def converted(dataset: Dataset, tag: int, raw: Any) -> Any:
    """pydicom's own element, of which the VR counts (and the items of a sequence)."""
    if isinstance(raw, DataElement):
        return raw
    try:
        return dataset[tag]
    except (RecursionError, MemoryError):
        raise
    except Exception:
        vr = _vr_of(dataset, raw)
        return _Unconverted(vr if vr != "SQ" else "UN")


def _vr_of(dataset: Dataset, raw: RawDataElement) -> str:
    """The VR by which pydicom would convert an element, whatever its value."""
    found: dict[str, Any] = {}
    with suppress(Exception):
        hooks.raw_element_vr(raw, found, ds=dataset)
    return str(found.get("VR") or raw.VR or "UN")


def _is_deferred(raw: RawDataElement) -> bool:
    return raw.value is None and raw.length > 0


def _for_pydicom(stream: Metered) -> BinaryIO:
    """It reads, seeks and tells; pydicom asks for no more."""
    return cast(BinaryIO, stream)


def _deflated_meta(stream: Metered) -> tuple[FileMetaDataset, int] | None:
    """The file meta information of a deflated file and where its dataset begins."""
    if stream.read(132)[128:] != b"DICM":
        stream.seek(0)
    try:
        meta = pydicom.filereader._read_file_meta_info(_for_pydicom(stream))
    except Exception:
        return None
    uid = str(meta.get("TransferSyntaxUID", ""))
    return (meta, stream.tell()) if uid in DEFLATED else None


def _inflate(stream: BinaryIO, limit: int) -> io.BytesIO:
    unzip = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = io.BytesIO()
    read = 0
    while not unzip.eof and (block := stream.read(_INFLATED_AT_ONCE)):
        read += len(block)
        while block and not unzip.eof:
            inflated.write(unzip.decompress(block, _INFLATED_AT_ONCE))
            block = unzip.unconsumed_tail
            if inflated.tell() > limit or read > limit:
                raise Exceeded(f"inflates_too_far: unfolds to more than {limit} bytes")
    return inflated
