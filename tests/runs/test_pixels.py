"""Digests of pixel data: of the pixels alone, and only where they must tell two files apart."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from building import build_tables
from places import PYDICOM_DATA

import dicomhouse
from dicomhouse import filesystem
from dicomhouse.dicom.bounds import Bounds, Budget
from dicomhouse.dicom.pixels import pixel_digest
from dicomhouse.run import build as steps
from dicomhouse.run.progress import Say
from dicomhouse.settings import Settings
from dicomhouse.testing import dataset_bytes, write_image
from dicomhouse.warehouse import pixels

PIXELS = bytes(range(256)) * 2


def digest(content: bytes) -> str:
    return pixel_digest(BytesIO(content))


def rules(folder: Path) -> list[str]:
    """The rules of repeated instances that fail."""
    with dicomhouse.open(folder) as warehouse:
        found = warehouse.sql("select rule from intermediate.int_checks_duplicates where is_failed")
    return found["rule"].to_list()


def build(settings: Settings, say: Say = lambda line: None) -> None:
    build_tables(settings, ["int_checks_duplicates"], say)


def test_digest_is_of_the_pixels_alone() -> None:
    one = digest(dataset_bytes(PixelData=PIXELS))
    assert one is not None
    assert digest(dataset_bytes(PixelData=PIXELS, PatientName="Other^Name")) == one
    implicit = dataset_bytes(PixelData=PIXELS, TransferSyntaxUID="1.2.840.10008.1.2")
    assert digest(implicit) == one
    followed = dataset_bytes(PixelData=PIXELS, DataSetTrailingPadding=bytes(8))
    assert digest(followed) == one
    assert digest(dataset_bytes(PixelData=PIXELS[:-1] + b"\0")) != one


def test_fragments_are_digested_to_their_end() -> None:
    whole = (PYDICOM_DATA / "test_files" / "JPEG2000.dcm").read_bytes()
    changed = bytearray(whole)
    changed[-20] ^= 1
    assert digest(whole) != digest(bytes(changed))


@pytest.mark.parametrize("content", [b"", b"no image", dataset_bytes(PixelData=None)])
def test_without_pixels_the_whole_file_is_digested(content: bytes) -> None:
    assert digest(content) == blake2b(content, digest_size=16).hexdigest()


def test_only_files_that_changed_are_digested_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(tmp_path / "in" / "1.dcm", PixelData=PIXELS)
    write_image(tmp_path / "in" / "2.dcm", PixelData=PIXELS)
    write_image(tmp_path / "in" / "alone.dcm", InstanceNumber=2)
    settings = Settings((str(tmp_path / "in"),), tmp_path / "warehouse")
    read: list[str] = []

    def digested(place: str, size: int, deadline: float) -> tuple[str, None]:
        read.append(Path(place).name)
        with Path(place).open("rb") as stream:
            return pixel_digest(stream, deadline), None

    monkeypatch.setattr(pixels, "_digest", digested)
    build(settings)
    assert sorted(read) == ["1.dcm", "2.dcm"]
    read.clear()
    write_image(tmp_path / "in" / "2.dcm", PixelData=PIXELS[:-1] + b"\0")
    build(settings)
    assert read == ["2.dcm"]
    assert rules(tmp_path / "warehouse") == ["duplicate_instance_conflict"]


def test_verify_finds_other_pixels_of_the_same_size_and_time(tmp_path: Path) -> None:
    for name in ("1.dcm", "2.dcm"):
        write_image(tmp_path / "in" / name, PixelData=PIXELS)
    settings = Settings((str(tmp_path / "in"),), tmp_path / "warehouse")
    told: list[str] = []

    build(settings, told.append)
    assert rules(tmp_path / "warehouse") == ["duplicate_instance_identical"]
    before = (tmp_path / "in" / "2.dcm").stat()
    write_image(tmp_path / "in" / "2.dcm", PixelData=PIXELS[:-1] + b"\0")
    os.utime(tmp_path / "in" / "2.dcm", ns=(before.st_atime_ns, before.st_mtime_ns))
    build(replace(settings, verify=True), told.append)
    assert "build: 1 file of other contents" in told
    assert rules(tmp_path / "warehouse") == ["duplicate_instance_conflict"]
    build(replace(settings, verify=True), told.append)
    assert "nothing changed" in told[-1]


def test_other_pixels_that_a_stopped_run_found_are_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("1.dcm", "2.dcm"):
        write_image(tmp_path / "in" / name, PixelData=PIXELS)
    settings = Settings((str(tmp_path / "in"),), tmp_path / "warehouse")
    build(settings)
    before = (tmp_path / "in" / "2.dcm").stat()
    write_image(tmp_path / "in" / "2.dcm", PixelData=PIXELS[:-1] + b"\0")
    os.utime(tmp_path / "in" / "2.dcm", ns=(before.st_atime_ns, before.st_mtime_ns))

    def stop(*given: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(steps, "register", stop)
        build(replace(settings, verify=True))
    write_image(tmp_path / "in" / "3.dcm", InstanceNumber=2)
    build(settings)
    assert rules(tmp_path / "warehouse") == ["duplicate_instance_conflict"]


def test_pixels_that_could_not_be_read_are_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("1.dcm", "2.dcm"):
        write_image(tmp_path / "in" / name, PixelData=PIXELS)
    settings = Settings((str(tmp_path / "in"),), tmp_path / "warehouse")
    monkeypatch.setattr(pixels, "_digest", lambda *words: (None, "file_unreadable: told"))
    build(settings)
    monkeypatch.undo()
    write_image(tmp_path / "in" / "3.dcm", InstanceNumber=2)
    build(settings)
    with dicomhouse.open(tmp_path / "warehouse") as warehouse:
        found = warehouse.sql("select count(digest) as n from run.pixel_digests")
    assert found["n"].to_list() == [2]


@pytest.mark.parametrize("names", [("a\\1", "b\\2"), ("a\udcff", "b\udcff")])
def test_pixels_are_found_whatever_the_names(tmp_path: Path, names: tuple[str, str]) -> None:
    write_image(tmp_path / "in" / names[0], PixelData=PIXELS)
    write_image(tmp_path / "in" / names[1], PixelData=PIXELS[:-1] + b"\0")
    build(Settings((str(tmp_path / "in"),), tmp_path / "warehouse"))
    assert rules(tmp_path / "warehouse") == ["duplicate_instance_conflict"]


def test_pixels_that_nobody_could_read_are_called_neither_equal_nor_different(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("1.dcm", "2.dcm"):
        write_image(tmp_path / "in" / name, PixelData=PIXELS)
    monkeypatch.setattr(pixels, "_digest", lambda *words: (None, "file_unreadable: told"))
    build(Settings((str(tmp_path / "in"),), tmp_path / "warehouse"))
    assert rules(tmp_path / "warehouse") == ["duplicate_instance_not_compared"]


@pytest.mark.parametrize(
    "budget", [Budget(pixel_bytes=4_000), Budget(pixel_bytes=1 << 50, pixel_seconds=1)]
)
def test_pixels_beyond_the_budget_are_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: Budget
) -> None:
    """Two copies of nearly nothing, and two that seem to be of a terabyte each."""
    for name in ("1", "2"):
        write_image(tmp_path / "in" / "small" / name, PixelData=PIXELS)
        large = write_image(tmp_path / "in" / "large" / name, PatientID="other")
        content = large.read_bytes()
        at = content.rindex(b"OW\0\0") + 4
        large.write_bytes(content[:at] + b"\xf0\xff\xff\xff" + content[at + 4 :])
        os.truncate(large, 1 << 40)
    settings = Settings((str(tmp_path / "in"),), tmp_path / "warehouse", budget=budget)
    build(settings)
    with dicomhouse.open(tmp_path / "warehouse") as warehouse:
        reasons = warehouse.sql("select reason from run.pixel_digests order by size_bytes")
        found = warehouse.sql(
            "select split_part(offenders[1], '/', 1) as folder, rule "
            "from intermediate.int_checks_duplicates where is_failed order by all"
        )
    kind = "over_budget: of bytes to read pixels"
    if budget.pixel_seconds == 1:
        kind = "over_budget: of time to read pixels"
    assert reasons["reason"].to_list() == [None, None, kind, kind]
    assert found.rows() == [
        ("large", "duplicate_instance_not_compared"), ("small", "duplicate_instance_identical")
    ]  # fmt: skip


def test_repeated_instance_of_a_time_that_no_table_holds_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystem, "_LAST_MICROSECOND", 0)  # for the year 9999
    for name in ("1.dcm", "2.dcm"):
        write_image(tmp_path / "in" / name, PixelData=PIXELS)
    settings = Settings((str(tmp_path / "in"),), tmp_path / "warehouse", jobs=1)
    build(settings)
    assert rules(tmp_path / "warehouse") == ["duplicate_instance_identical"]
    write_image(tmp_path / "in" / "3.dcm", InstanceNumber=2)
    monkeypatch.setattr(pixels, "_digest", lambda *words: 1 / 0)  # what is known stays
    build(settings)
    with dicomhouse.open(tmp_path / "warehouse") as warehouse:
        assert warehouse.sql("select modified_at from files")["modified_at"].to_list() == [None] * 3


def test_file_that_grew_meanwhile_is_not_digested(tmp_path: Path) -> None:
    path = write_image(tmp_path / "1", PixelData=PIXELS)
    size = path.stat().st_size
    assert pixels._digest(str(path), size, math.inf) == (digest(path.read_bytes()), None)
    os.truncate(path, 1 << 40)
    found, reason = pixels._digest(str(path), size, math.inf)
    assert found is None and str(reason).startswith("file_changed")


def test_copies_with_a_value_that_was_not_read_are_not_called_identical(tmp_path: Path) -> None:
    settings = Settings(
        (str(tmp_path / "in"),), tmp_path / "warehouse", bounds=Bounds(max_value_bytes=100)
    )
    for name in ("1", "2"):
        write_image(tmp_path / "in" / name, EncapsulatedDocument=name.encode() * 200)
    build(settings)
    assert rules(tmp_path / "warehouse") == ["duplicate_instance_not_compared"]
