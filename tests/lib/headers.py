"""Headers written by hand, and what is read of them."""

from __future__ import annotations

import io
import warnings
from typing import Any

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
)

from dicomhouse.dicom.bounds import Bounds
from dicomhouse.dicom.elements import Element, FileHeader, Headers
from dicomhouse.dicom.reference import read_header


def read(data: bytes, bounds: Bounds | None = None) -> tuple[FileHeader, list[tuple[Element, str]]]:
    headers = Headers()
    header = read_header(io.BytesIO(data), headers, bounds)
    assert len(headers) == 1
    return header, list(headers.occurrences(0))


def encode(syntax: str = ExplicitVRLittleEndian, **attributes: Any) -> bytes:
    """A Part 10 file: valid by default, overridden by keyword."""
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.SOPInstanceUID = "1.2.3.4"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return encode_dataset(dataset, syntax)


def encode_dataset(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    target = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(target, dataset, enforce_file_format=True)
    return target.getvalue()


def top(data: bytes, keyword: str) -> Element:
    found = [e for e, item in read(data)[1] if e.path == keyword and item == ""]
    assert len(found) == 1
    return found[0]


def raw_file(tag: int, vr: str, value: bytes) -> bytes:
    """A file whose dataset is one explicit little-endian element, its bytes as given."""
    whole = encode()
    start = whole.index(b"\x08\x00\x16\x00UI")
    head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little") + vr.encode()
    return whole[:start] + head + len(value).to_bytes(2, "little") + value
