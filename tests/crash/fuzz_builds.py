"""Whole builds of hostile files: `make fuzz-build`.

Half of the files are real headers broken in structure, as `fuzz` makes them. The others are images
of a few series, whose elements hold what no model expects: each value representation at its bounds,
odd character sets, deep nesting, large values. No build may fail, every file has one row, and a
second run finds nothing changed. The seed decides everything.
"""

from __future__ import annotations

import argparse
import random
import shutil
import struct
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import fuzz
from pydicom.datadict import DicomDictionary, keyword_dict

import dicomhouse
from dicomhouse.run.build import build_direct
from dicomhouse.settings import Settings
from dicomhouse.testing import dataset_bytes, write_enhanced
from dicomhouse.testing.raw import raw_element, raw_item, with_element

_TEXTS = (
    b"", b" ", b"\\", b"\\\\\\", b"a\\\x1fb\\", b"\0", b"A" * 5000, b"'; drop table files; --",
    b"${x} {{ 1 }} %s {0}", b"=cmd|' /C calc'!A0", b"\xff\xfe\x80",
    b"\x1b$B$\"\x1b(B", b"<script>", b"a=b/c=d", b"__HIVE_DEFAULT_PARTITION__", b"..", b"NULL",
    "\N{RIGHT-TO-LEFT OVERRIDE}x".encode(),
)  # fmt: skip
_NUMBERS = (
    b"1e400", b"-1e308", b"1e-320", b"NaN", b"inf", b"-inf", b"-0", b"0", b"9223372036854775807",
    b"-9223372036854775808", b"99999999999999999999", b"1\\2\\3", b"1\\\\3", b"-1\\1e308\\-1e308",
    b"1,5", b"0x10", b" 7 ", b"1_000",
)  # fmt: skip
_TIMES = (
    b"99991231", b"00000000", b"20200230", b"19000101-20200101", b"2020.01.02", b"235960.999999",
    b"99991231235959.999999+1400", b"00010101000000-1200", b"1", b"000D", b"999Y",
)  # fmt: skip
_UIDS = (b"", b"1", b"0.0", b"1.2." * 30, b"1..2", b"1.02.3", b"x", b"1.2.840.10008.5.1.4.1.1.2\0")
_FORMATS = {
    "US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "FL": "f", "FD": "d",
    "AT": "HH", "OW": "H", "OB": "B", "OF": "f", "OD": "d", "OL": "L", "OV": "Q", "UN": "B",
}  # fmt: skip
_FAVOURED = (
    "SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "StudyDate", "SeriesDate",
    "AcquisitionTime", "Modality", "Manufacturer", "PatientID", "PatientName", "PatientBirthDate",
    "PatientIdentityRemoved", "SliceThickness", "KVP", "SpacingBetweenSlices", "EchoTime",
    "GantryDetectorTilt", "StudyInstanceUID", "SeriesInstanceUID", "InstanceNumber",
    "AcquisitionNumber", "ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID",
    "SliceLocation", "NumberOfFrames", "Rows", "Columns", "PixelSpacing", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "SmallestImagePixelValue", "RescaleIntercept",
    "RescaleSlope", "GridFrameOffsetVector", "SliceVector", "TriggerTime", "DiffusionBValue",
    "TemporalPositionIdentifier", "ConcatenationUID", "InConcatenationNumber", "IconImageSequence",
    "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence", "ReferencedSOPSequence",
)  # fmt: skip
_LARGE = 1_500_000


def value(vr: str, dice: random.Random) -> bytes:
    """A value field that its representation allows just so, or does not."""
    if dice.random() < 0.02:
        return bytes([dice.choice(b"1A\\\0 ")]) * dice.choice((70_000, _LARGE))
    if vr in _FORMATS:
        layout = "<" + _FORMATS[vr]
        size = struct.calcsize(layout)
        edge = dice.choice((bytes(size), b"\xff" * size, b"\xff" * (size - 1) + b"\x7f",
                            bytes(size - 1) + b"\x80", dice.randbytes(size)))  # fmt: skip
        return edge * dice.choice((0, 1, 1, 1, 2, 3, 64))
    edges = {"DS": _NUMBERS, "IS": _NUMBERS, "UI": _UIDS, "DA": _TIMES, "TM": _TIMES, "DT": _TIMES,
             "AS": _TIMES}.get(vr, _TEXTS)  # fmt: skip
    chosen = dice.choice(edges if dice.random() < 0.9 else _TEXTS)
    return chosen + b" " * (len(chosen) % 2)


def element(tag: int, vr: str, dice: random.Random, depth: int = 0) -> bytes:
    if vr == "SQ" and dice.random() < 0.95:
        deep = dice.choice((1, 1, 1, 2, 3, 40))
        count = dice.choice((0, 1, 1, 2, 30 if depth == 0 else 2)) if depth < 3 else 0
        data = raw_element(tag, vr, b"".join(item(dice, depth + 1) for _ in range(count)))
        for _ in range(deep - 1):
            data = raw_element(tag, vr, raw_item(data))
        return data
    vr = vr if dice.random() < 0.95 else dice.choice(("UN", "LO", "SQ", "FD", "ZZ"))
    data = value(vr, dice)
    short = vr not in ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
    return raw_element(tag, vr, data[:65_534] if short else data)


def item(dice: random.Random, depth: int) -> bytes:
    return raw_item(*(element(*an_attribute(dice), dice, depth) for _ in range(dice.randrange(4))))


def an_attribute(dice: random.Random) -> tuple[int, str]:
    if dice.random() < 0.6:
        tag = keyword_dict[dice.choice(_FAVOURED)]
    elif dice.random() < 0.1:
        return 0x00190000 | dice.randrange(0x10, 0xFFFF), dice.choice((*_FORMATS, "LO", "DS", "SQ"))
    else:
        tag = dice.choice(_TAGS)
    vr = DicomDictionary[tag][0]
    return tag, vr if len(vr) == 2 and vr != "NONE" else dice.choice(vr.split(" or "))


_TAGS = [tag for tag, (vr, *_) in DicomDictionary.items() if tag >> 16 >= 8 and vr != "NONE"]


def hostile(bases: list[bytes], dice: random.Random) -> bytes:
    """An image with some elements that hold what no model expects."""
    data = dice.choice(bases)
    for _ in range(dice.choice((1, 2, 4, 12))):
        tag, vr = an_attribute(dice)
        data = with_element(data, tag, element(tag, vr, dice))
    return data


def bases(folder: Path) -> list[bytes]:
    """Images of four series of two patients, and multi-frame objects."""
    made = [
        dataset_bytes(
            PatientID=f"P{series % 2}", StudyInstanceUID=f"1.2.{series % 2}", InstanceNumber=number,
            SeriesInstanceUID=f"1.2.3.{series}", SOPInstanceUID=f"1.2.3.{series}.{number}",
            ImagePositionPatient=[0, 0, number * 2.5],
        )
        for series in range(4)
        for number in range(20)
    ]  # fmt: skip
    frames = [{"ImagePositionPatient": [0, 0, 3.0 * number]} for number in range(12)]
    write_enhanced(folder / "enhanced", frames)
    return [*made, (folder / "enhanced").read_bytes()]


def files(seed: int, count: int, scratch: Path) -> Iterator[bytes]:
    dice = random.Random(seed)
    images = bases(scratch)
    broken = (data for made, _ in fuzz.rounds(seed, count) for data in made)
    yield from islice(broken, count // 2)
    for _ in range(count - count // 2):
        yield hostile(images, dice)


def build(seed: int, count: int, root: Path) -> None:
    """Build a warehouse of hostile files, twice.

    Raises:
        AssertionError: a file has not one row, or the second run found something changed.
    """
    source = root / "in"
    for number, data in enumerate(files(seed, count, root)):
        path = source / f"{number % 37}" / f"{number:05d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    settings = Settings((str(source),), root / "w", jobs=2)
    first = build_direct(settings, lambda line: None)
    assert sum(first["files"].values()) == count
    with dicomhouse.open(root / "w") as opened:
        assert opened.sql("select count(*) n from files").item() == count
    again = build_direct(settings, lambda line: None)
    assert again["generation"] == first["generation"], again["reasons"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--builds", type=int, default=50)
    parser.add_argument("--files", type=int, default=2_000, help="hostile files of each build")
    parser.add_argument("--seed", type=int, default=0, help="of the first build")
    parser.add_argument("--keep", type=Path, help="copy what a failing build read there")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    failed = []
    for seed in range(options.seed, options.seed + options.builds):
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory() as name:
            try:
                build(seed, options.files, Path(name))
                told = "fine"
            except Exception as error:
                failed.append(seed)
                told = f"FAILED, {type(error).__name__}: {error}"
                if options.keep:
                    shutil.copytree(Path(name), options.keep / str(seed), symlinks=True)
        print(f"seed {seed}: {told} ({time.perf_counter() - begun:.1f} s)", flush=True)
    print(f"{options.builds} builds of {options.files} files: {len(failed)} failed {failed or ''}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
