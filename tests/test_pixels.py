"""Digests of pixel data: of the pixels alone, and only where they must tell two files apart."""

from __future__ import annotations

import os
from dataclasses import replace
from hashlib import blake2b
from io import BytesIO
from pathlib import Path

import pytest
from conftest import PYDICOM_DATA

import dicomhouse
from dicomhouse import pipeline
from dicomhouse.dicom.pixels import pixel_digest
from dicomhouse.pipeline import build_direct
from dicomhouse.settings import Settings
from dicomhouse.testing import dataset_bytes, write_image
from dicomhouse.warehouse import pixels

PIXELS = bytes(range(256)) * 2


def digest(content: bytes) -> str:
    return pixel_digest(BytesIO(content))


def rules(folder: Path) -> list[str]:
    """The findings of repeated instances."""
    with dicomhouse.open(folder) as warehouse:
        found = warehouse.sql("select rule from findings where rule like 'duplicate_instance%'")
    return found["rule"].to_list()


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

    def digested(path: Path | None) -> str:
        assert path is not None
        read.append(path.name)
        with path.open("rb") as stream:
            return pixel_digest(stream)

    monkeypatch.setattr(pixels, "_digest", digested)
    build_direct(settings, lambda line: None)
    assert sorted(read) == ["1.dcm", "2.dcm"]
    read.clear()
    write_image(tmp_path / "in" / "2.dcm", PixelData=PIXELS[:-1] + b"\0")
    build_direct(settings, lambda line: None)
    assert read == ["2.dcm"]
    assert rules(tmp_path / "warehouse") == ["duplicate_instance_conflict"]


def test_verify_finds_other_pixels_of_the_same_size_and_time(tmp_path: Path) -> None:
    for name in ("1.dcm", "2.dcm"):
        write_image(tmp_path / "in" / name, PixelData=PIXELS)
    settings = Settings((str(tmp_path / "in"),), tmp_path / "warehouse")
    told: list[str] = []

    build_direct(settings, told.append)
    assert rules(tmp_path / "warehouse") == ["duplicate_instance_identical"]
    before = (tmp_path / "in" / "2.dcm").stat()
    write_image(tmp_path / "in" / "2.dcm", PixelData=PIXELS[:-1] + b"\0")
    os.utime(tmp_path / "in" / "2.dcm", ns=(before.st_atime_ns, before.st_mtime_ns))
    build_direct(replace(settings, verify=True), told.append)
    assert "build: 1 file of other contents" in told
    assert rules(tmp_path / "warehouse") == ["duplicate_instance_conflict"]
    build_direct(replace(settings, verify=True), told.append)
    assert "nothing changed" in told[-1]


def test_other_pixels_that_a_stopped_run_found_are_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("1.dcm", "2.dcm"):
        write_image(tmp_path / "in" / name, PixelData=PIXELS)
    settings = Settings((str(tmp_path / "in"),), tmp_path / "warehouse")
    build_direct(settings, lambda line: None)
    before = (tmp_path / "in" / "2.dcm").stat()
    write_image(tmp_path / "in" / "2.dcm", PixelData=PIXELS[:-1] + b"\0")
    os.utime(tmp_path / "in" / "2.dcm", ns=(before.st_atime_ns, before.st_mtime_ns))

    def stop(run: pipeline.Run) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(pipeline, "register", stop)
        build_direct(replace(settings, verify=True), lambda line: None)
    write_image(tmp_path / "in" / "3.dcm", InstanceNumber=2)
    build_direct(settings, lambda line: None)
    assert rules(tmp_path / "warehouse") == ["duplicate_instance_conflict"]


def test_pixels_that_could_not_be_read_are_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("1.dcm", "2.dcm"):
        write_image(tmp_path / "in" / name, PixelData=PIXELS)
    settings = Settings((str(tmp_path / "in"),), tmp_path / "warehouse")
    monkeypatch.setattr(pixels, "_digest", lambda path: None)
    build_direct(settings, lambda line: None)
    monkeypatch.undo()
    write_image(tmp_path / "in" / "3.dcm", InstanceNumber=2)
    build_direct(settings, lambda line: None)
    with dicomhouse.open(tmp_path / "warehouse") as warehouse:
        found = warehouse.sql("select count(digest) as n from run.pixel_digests")
    assert found["n"].to_list() == [2]


@pytest.mark.parametrize("names", [("a\\1", "b\\2"), ("a\udcff", "b\udcff")])
def test_pixels_are_found_whatever_the_names(tmp_path: Path, names: tuple[str, str]) -> None:
    write_image(tmp_path / "in" / names[0], PixelData=PIXELS)
    write_image(tmp_path / "in" / names[1], PixelData=PIXELS[:-1] + b"\0")
    build_direct(Settings((str(tmp_path / "in"),), tmp_path / "warehouse"), lambda line: None)
    assert rules(tmp_path / "warehouse") == ["duplicate_instance_conflict"]


def test_pixels_that_nobody_could_read_are_not_called_identical(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("1.dcm", "2.dcm"):
        write_image(tmp_path / "in" / name, PixelData=PIXELS)
    monkeypatch.setattr(pixels, "_digest", lambda path: None)
    build_direct(Settings((str(tmp_path / "in"),), tmp_path / "warehouse"), lambda line: None)
    assert rules(tmp_path / "warehouse") == ["duplicate_instance_conflict"]
