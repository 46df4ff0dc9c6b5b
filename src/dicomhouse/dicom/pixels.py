"""The bytes of pixel data, for what must tell two images apart: read only when asked for."""

from __future__ import annotations

import os
import warnings
from hashlib import blake2b
from struct import unpack
from typing import BinaryIO

from pydicom import dcmread
from pydicom.filereader import _read_file_meta_info, read_preamble

from dicomhouse.dicom.bounds import Bounds
from dicomhouse.dicom.metered import Exceeded
from dicomhouse.dicom.reference import DEFLATED, measure_fragments

_CHUNK = 1 << 20
_UNDEFINED = 0xFFFFFFFF


def pixel_digest(stream: BinaryIO) -> str:
    """BLAKE2b-128 of the pixel data's value field.

    Of encapsulated data that is all of its items. A deflated file, and one in which no pixel data
    can be found, is digested as it stands.

    Args:
        stream: the file's bytes, seekable.
    """
    stream.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read_preamble(stream, force=True)
            meta = _read_file_meta_info(stream)
            if meta.get("TransferSyntaxUID") in DEFLATED:  # nobody knows how much it holds
                return _whole(stream)
            stream.seek(0)
            header = dcmread(stream, stop_before_pixels=True, force=True)
        implicit, little = header.original_encoding
    except Exception:  # whatever pydicom raises on such bytes; the reader has told it already
        return _whole(stream)
    start = stream.tell() + (8 if implicit else 12)
    head = stream.read(12)
    if len(head) < 8:
        return _whole(stream)
    order = ">" if little is False else "<"
    (length,) = unpack(order + "L", head[4:8] if implicit else head[8:12].ljust(4, b"\0"))
    if length != _UNDEFINED:
        return _digest(stream, start, start + length)
    try:
        size = stream.seek(0, os.SEEK_END)
        measure_fragments(stream, start, size, order, Bounds().max_fragments)
    except Exceeded:
        return _whole(stream)
    return _digest(stream, start, stream.tell())


def _whole(stream: BinaryIO) -> str:
    return _digest(stream, 0, stream.seek(0, os.SEEK_END))


def _digest(stream: BinaryIO, start: int, end: int) -> str:
    digest = blake2b(digest_size=16)
    stream.seek(start)
    while start < end and (chunk := stream.read(min(_CHUNK, end - start))):
        digest.update(chunk)
        start += len(chunk)
    return digest.hexdigest()
