"""Real headers, broken in many ways, through both readers: `make fuzz`.

Nothing raises, both readers agree, each file has one row, every byte belongs to an element, to
padding or to a reason, and the memory stays in its bound. A
round is a whole file and some broken copies of it, read twice by one walker, so that what it
learned of one meets the others. The seed decides everything.
"""

from __future__ import annotations

import argparse
import io
import random
import resource
import struct
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq
from places import PYDICOM_DATA, shared_folder

from dicomhouse.dicom.bounds import Bounds
from dicomhouse.dicom.elements import Element, FileHeader, Headers
from dicomhouse.dicom.metered import Exceeded
from dicomhouse.dicom.parse import DataSet, Entry, Parser
from dicomhouse.dicom.reference import read_header
from dicomhouse.dicom.sniff import kind_of
from dicomhouse.dicom.walk import Walker
from dicomhouse.lake.orders import FileFacts
from dicomhouse.lake.parts import write_part
from dicomhouse.testing import build_cohort
from dicomhouse.testing.raw import (
    ITEM_END,
    SEQUENCE_END,
    data_set_at,
    raw_element,
    raw_item,
    split,
)

Read = tuple[FileHeader, list[tuple[Element, str]]]

_HEADER = 8000
"""Bytes of a file that are worth breaking."""
_LARGEST = 200_000
_BYTES = (0x00, 0x01, 0x02, 0x10, 0x28, 0x41, 0x4E, 0x55, 0x5C, 0xE0, 0xFE, 0xFF)
_WORDS = (b"UN", b"SQ", b"US", b"IS", b"DS", b"OB", b"OW", b"LO", b"PN", b"UT", b"\xff\xff",
          b"\0\0", b"\x10\0", b"ZZ")  # fmt: skip
_LONGS = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0",
          b"\xfe\xff\xdd\xe0", b"\x28\0\x03\x01", b"\x08\0\x05\0", b"\xe0\x7f\x10\0",
          b"\xfe\xff\xff\x7f", b"\x00\x00\x00\x80")  # fmt: skip
_DECLARED = (b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2\0", b"1.2.840.10008.1.2.2\0",
             b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.4.70", b"1.2.840.10008.1.2.4.91",
             b"1.2.840.10008.1.2.5\0")  # fmt: skip
_CHARSETS = (b"ISO_IR 100", b"ISO IR 192", b"ISO_IR 192", b"iso_ir 100", b"GB18030 ", b"NOT KNOWN ",
             b"\\ISO 2022 IR 87")  # fmt: skip
_PIECES = (
    raw_element(0x00020010, "UI", b"1.2.840.10008.1.2\0"),
    raw_element(0x00020012, "UI", b"1.2\0") + raw_element(0x00020013, "SH", b"OTHER "),
    raw_element(0x00100020, "LO", b"AGAIN "),
    raw_element(0x00100020, "LO", b"AGAIN ", True),
    raw_element(0x0019100C, "LO", b"no creator"),
    raw_element(0x00081032, "SQ", raw_item(raw_element(0x00080100, "SH", b"A1")) * 2),
    raw_element(0x00081032, "SQ", raw_item(undefined=True) + SEQUENCE_END, False, True),
    raw_element(0x7FE00010, "OW", bytes(8)),
    raw_element(0xFFFCFFFC, "OB", bytes(8)),
    ITEM_END,
    SEQUENCE_END,
)
_READS = (1, 13, 137, 333, 1000, 4096, 8192, 8192, 8192)


@cache
def headers_to_break() -> tuple[bytes, ...]:
    """Headers of pydicom's files, of the shared studies where present, and made-up ones."""
    paths = [path for path in sorted(PYDICOM_DATA.rglob("*")) if path.is_file()]
    shared = shared_folder()
    if shared is not None:
        paths += [path for path in sorted(shared.rglob("*")) if path.is_file()][::37]
    with tempfile.TemporaryDirectory() as folder:
        for profile in ("osic", "hospital"):
            build_cohort(Path(folder) / profile, patients=1, slices=2, profile=profile)
        paths += sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return tuple(path.read_bytes()[:_LARGEST] for path in paths)


def broken(whole: bytes, other: bytes, dice: random.Random) -> bytes:
    """One mutation or a few: flipped bits, other bytes, lengths, cuts, repeats, splices, zeros,
    elements again or elsewhere, wrong declarations."""
    data = bytearray(whole)
    if dice.random() < 0.3:
        data = bytearray(_rearranged(whole, dice))
    for _ in range(dice.choice((0, 1, 1, 1, 2, 3) if data != whole else (1, 1, 1, 2, 3))):
        end = min(len(data), _HEADER)
        if end < 140:
            break
        at = dice.randrange(128 if dice.random() < 0.95 else 0, end)
        match dice.randrange(13):
            case 0:
                data[at] ^= 1 << dice.randrange(8)
            case 1:
                data[at] = dice.choice(_BYTES)
            case 2:
                del data[at : at + dice.randrange(1, 20)]
            case 3:
                data[at : at + 2] = dice.choice(_WORDS)
            case 4:
                data[at : at + 4] = dice.choice(_LONGS)
            case 5:
                data[at : at + 2] = dice.randrange(1 << 16).to_bytes(2, "little")
            case 6:
                start = dice.randrange(128, end)
                data[at:at] = data[start : start + dice.randrange(4, 200)]
            case 7:
                start = dice.randrange(128, max(129, min(len(other), _HEADER)))
                data[at : at + dice.randrange(40)] = other[start : start + dice.randrange(4, 400)]
            case 8:
                data[at:at] = dice.randbytes(dice.randrange(1, 9))
            case 9:
                data[at:at] = bytes(dice.choice((2, 8, 16, 100)))
            case 10:
                data[at : at + dice.randrange(200)] = dice.choice(_PIECES)
            case 11:
                old, new = dice.choice(_DECLARED), dice.choice(_DECLARED)
                data = data.replace(old, new[: len(old)].ljust(len(old), b"\0"), 1)
            case 12:
                old, new = dice.choice(_CHARSETS), dice.choice(_CHARSETS)
                data = data.replace(old, new[: len(old)].ljust(len(old)), 1)
    end = dice.random()
    if end < 0.15:
        del data[dice.randrange(len(data) + 1) :]
    elif end < 0.2:
        at = dice.randrange(min(len(data), _HEADER) + 1)
        data[at:] = bytes(dice.choice((len(data) - at, 7, 8, 300, 3000)))
    elif end < 0.25:
        data += dice.choice((bytes(3), bytes(8), bytes(600), b"xyz", b"\xff" * 9, *_PIECES))
    return bytes(data)


def _rearranged(whole: bytes, dice: random.Random) -> bytes:
    """Some element again or elsewhere, where the file is in explicit VR little endian."""
    try:
        elements = [data for _, data in split(whole)]
    except (struct.error, IndexError):
        return whole
    if len(elements) < 2 or whole[128:132] != b"DICM":
        return whole
    chosen = elements[dice.randrange(len(elements))]
    if dice.random() < 0.5:
        elements.remove(chosen)
    elements.insert(dice.randrange(len(elements) + 1), chosen)
    if dice.random() < 0.2:
        elements.insert(dice.randrange(3), dice.choice(_PIECES))
    return whole[: data_set_at(whole)] + b"".join(elements)


def rounds(seed: int, files: int) -> Iterator[tuple[list[bytes], int]]:
    """The files of each round and how much a reader reads first; `files` broken ones in all."""
    wholes = headers_to_break()
    dice = random.Random(seed)
    while files > 0:
        whole, other = dice.choice(wholes), dice.choice(wholes)
        made = [broken(whole, other, dice) for _ in range(min(files, 8))]
        files -= len(made)
        order = [whole]
        for data in made:
            order += [data, whole] if dice.random() < 0.5 else [data]
        yield [*order, *order[::-1]], dice.choice(_READS)


def check(files: Sequence[bytes], first_read: int) -> Counter[str]:
    """Read the files of a round by both readers. Returns how many ended with each status.

    Raises:
        AssertionError: the readers differ, or a file has not one row.
    """
    headers = Headers()
    walker = Walker(headers, first_read=first_read)
    for data in files:
        walker.read(io.BytesIO(data))
    assert len(headers) == len(files)
    reference: dict[bytes, Read] = {}
    for number, data in enumerate(files):
        if data not in reference:
            alone = Headers()
            reference[data] = (read_header(io.BytesIO(data), alone), list(alone.occurrences(0)))
        header, elements = reference[data]
        ours = list(headers.occurrences(number))
        assert len(ours) == len(elements), "the readers count differently"
        assert repr((headers.files[number], ours)) == repr((header, elements)), "they differ"
    with tempfile.TemporaryDirectory() as lake:
        facts = [FileFacts(str(number), 1, 1) for number in range(len(files))]
        write_part(Path(lake), "part", "fuzz", "run", facts, headers)
        (part,) = Path(lake).glob("files/**/*.parquet")
        rows = pq.ParquetFile(part).read(["path"]).column("path").to_pylist()
        assert sorted(rows, key=int) == [fact.path for fact in facts]
    return Counter(header.status for header in headers.files)


def account(data: bytes) -> None:
    """Every byte of a file belongs to an element, is padding, or has a reason.

    Raises:
        AssertionError: some bytes do not.
    """
    if kind_of(data[:512], len(data)) is not None:
        return
    parser = Parser(io.BytesIO(data), len(data), Bounds())
    try:
        parser.parse()
    except Exceeded:
        return
    reasons = (parser.is_cut, parser.is_damaged, parser.is_zeroed, parser.has_rest)
    has_reason = any(reasons) or parser.pixels_lack is not None
    stream = parser.stream.stream
    stream.seek(0)
    whole = stream.read()
    at = 0
    if not parser.is_deflated:
        at = _account_entries(
            parser.meta, whole, 132 if data[128:132] == b"DICM" else 0, has_reason
        )
    at = _account_entries(parser.main, whole, at, has_reason)
    assert has_reason or not whole[at:].strip(b"\0 "), "bytes are lost at the end"


def _account_entries(part: DataSet, whole: bytes, at: int, has_reason: bool) -> int:
    for entry in part.entries:
        assert not whole[at : entry.start].strip(b"\0"), f"bytes are lost before {entry.tag:08X}"
        assert at <= entry.start < entry.end <= len(whole) or has_reason
        if entry.items is not None and not has_reason and "items_odd" not in (entry.problem or ""):
            _account_items(entry, entry.items, whole)
        at = entry.end
    return at


def _account_items(entry: Entry, items: list[DataSet], whole: bytes) -> None:
    at = entry.start + (12 if entry.vr_file else 8)
    for item in items:
        assert item.start == at + 8, "bytes are lost before an item"
        end = _account_entries(item, whole, item.start, False)
        rest = whole[end : item.end].strip(b"\0")
        assert not rest or (len(rest) <= 8 and item.end - end >= 8), "bytes are lost in an item"
        at = item.end
    assert entry.end - at in (0, 8), "bytes are lost behind the items"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000, help="broken files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="write the files of a failing round there")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    statuses: Counter[str] = Counter()
    slowest, failed = 0.0, 0
    for number, (files, first_read) in enumerate(rounds(options.seed, options.files)):
        begun = time.perf_counter()
        try:
            statuses += check(files, first_read)
            for data in dict.fromkeys(files):
                account(data)
        except Exception as error:
            failed += 1
            told = f"round {number} of seed {options.seed}: {type(error).__name__}: {error}"
            print(told, flush=True)
            if options.keep:
                folder = options.keep / f"{options.seed}-{number}-{first_read}"
                folder.mkdir(parents=True, exist_ok=True)
                for place, data in enumerate(files):
                    (folder / f"{place:02d}").write_bytes(data)
        slowest = max(slowest, time.perf_counter() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = ", ".join(f"{count} {status}" for status, count in statuses.most_common())
    print(f"{options.files} broken files: {told}; {failed} rounds failed")
    print(f"slowest round {slowest:.2f} s, {peak:.0f} MiB at most")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
